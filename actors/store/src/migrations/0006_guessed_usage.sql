-- What is guessed of calls whose provider did not tell what they took, beyond the sums: tokens, and cost in billionths of a USD. Limits of keys
-- count it.
ALTER TABLE usage ADD COLUMN guessed_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN guessed_cost INTEGER NOT NULL DEFAULT 0;
