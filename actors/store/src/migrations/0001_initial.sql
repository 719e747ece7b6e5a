-- Times are whole microseconds since 1970-01-01 00:00 UTC.

-- Facts about the store itself, by name: created_at, checked_at.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each call of a tool or provider and each change by an operator. Rows are written in the order in which the
-- calls ended; at is when they began. Arguments and results are never here, only their digest and size.
CREATE TABLE audit (
  id         INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  request_id TEXT NOT NULL,
  who        TEXT NOT NULL,
  origin     TEXT NOT NULL,
  what       TEXT NOT NULL,
  digest     TEXT NOT NULL,
  bytes      INTEGER NOT NULL,
  ms         INTEGER NOT NULL,
  outcome    TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_request ON audit (request_id, at);

-- API keys made by command: the SHA-256 of the key, never the key.
CREATE TABLE api_keys (
  name    TEXT PRIMARY KEY,
  scope   TEXT NOT NULL,
  hash    TEXT NOT NULL UNIQUE,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The models that each provider offered when it was last asked, in its own order.
CREATE TABLE models (
  provider       TEXT NOT NULL,
  position       INTEGER NOT NULL,
  model          TEXT NOT NULL,
  created        INTEGER,
  context_tokens INTEGER,
  tools          INTEGER,
  PRIMARY KEY (provider, position)
) STRICT, WITHOUT ROWID;
