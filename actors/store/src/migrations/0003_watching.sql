-- What watching keeps. Times are whole microseconds since 1970-01-01 00:00 UTC.

-- One row for each occurrence of an alert. data is packed by the alert desk; live rows are read at the start.
CREATE TABLE alerts (
  id       INTEGER PRIMARY KEY,
  key      TEXT NOT NULL,
  live     INTEGER NOT NULL,
  severity TEXT NOT NULL,
  opened   INTEGER NOT NULL,
  ended    INTEGER,
  data     TEXT NOT NULL
) STRICT;
CREATE INDEX alerts_live ON alerts (id) WHERE live = 1;
CREATE INDEX alerts_ended ON alerts (ended);

-- What happened to alerts, line by line.
CREATE TABLE alert_events (
  id       INTEGER PRIMARY KEY,
  alert    INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  what     TEXT NOT NULL,
  name     TEXT NOT NULL,
  severity TEXT NOT NULL,
  who      TEXT,
  text     TEXT NOT NULL
) STRICT;
CREATE INDEX alert_events_alert ON alert_events (alert, id);
CREATE INDEX alert_events_at ON alert_events (at);

-- Messages on their way, one row for each channel; ids sort by time. notice is JSON; thread is its thread.
CREATE TABLE outbox (
  id         TEXT PRIMARY KEY,
  channel    TEXT NOT NULL,
  thread     TEXT NOT NULL,
  state      TEXT NOT NULL,
  attempts   INTEGER NOT NULL,
  queued_at  INTEGER NOT NULL,
  next_at    INTEGER,
  last_error TEXT,
  remote_id  TEXT,
  notice     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_waiting ON outbox (channel, id) WHERE state IN ('queued', 'sending');
CREATE INDEX outbox_thread ON outbox (channel, thread);
CREATE INDEX outbox_done ON outbox (state, queued_at);

-- Runs of jobs; ids sort by time.
CREATE TABLE job_runs (
  id         TEXT PRIMARY KEY,
  job        TEXT NOT NULL,
  trigger_by TEXT NOT NULL,
  due        INTEGER NOT NULL,
  started    INTEGER NOT NULL,
  ended      INTEGER,
  state      TEXT NOT NULL,
  error      TEXT,
  output     TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX job_runs_job ON job_runs (job, id);
CREATE INDEX job_runs_state ON job_runs (state);

-- Small named states of the actors, packed by their owners.
CREATE TABLE states (
  owner TEXT NOT NULL,
  name  TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
