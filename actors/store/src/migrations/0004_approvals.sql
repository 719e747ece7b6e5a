-- Actions that need a person. Times are whole microseconds since 1970-01-01 00:00 UTC.

-- One row for each proposal. data is packed by the approvals desk; live rows are read at the start.
CREATE TABLE proposals (
  id      INTEGER PRIMARY KEY,
  state   TEXT NOT NULL,
  live    INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  data    TEXT NOT NULL
) STRICT;
CREATE INDEX proposals_live ON proposals (id) WHERE live = 1;
CREATE INDEX proposals_changed ON proposals (changed);
CREATE INDEX proposals_state ON proposals (state, id);

-- The record of actions: rows are only ever added, at the end. hash is the SHA-256 over the hash of the row before and this row; it shows
-- a row that was changed or taken out by other means.
CREATE TABLE action_audit (
  id         INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  proposal   INTEGER NOT NULL,
  what       TEXT NOT NULL,
  who        TEXT NOT NULL,
  via        TEXT NOT NULL,
  request_id TEXT NOT NULL,
  text       TEXT NOT NULL,
  data       TEXT NOT NULL,
  hash       TEXT NOT NULL
) STRICT;
CREATE INDEX action_audit_proposal ON action_audit (proposal, id);
CREATE TRIGGER action_audit_keeps_rows BEFORE DELETE ON action_audit
BEGIN
  SELECT RAISE(ABORT, 'rows of the record of actions are never deleted');
END;
CREATE TRIGGER action_audit_keeps_words BEFORE UPDATE ON action_audit
BEGIN
  SELECT RAISE(ABORT, 'rows of the record of actions are never changed');
END;
CREATE TRIGGER action_audit_grows_at_its_end BEFORE INSERT ON action_audit
WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM action_audit)
BEGIN
  SELECT RAISE(ABORT, 'rows of the record of actions are added at its end');
END;
