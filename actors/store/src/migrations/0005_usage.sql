-- What calls of models took, summed by day, caller, provider and model. day is a date in HAIA's time zone (2026-03-01). NULL is unknown:
-- no answer told it. cost is in billionths of a USD, times are sums in microseconds.
CREATE TABLE usage (
  day           TEXT NOT NULL,
  who           TEXT NOT NULL,
  provider      TEXT NOT NULL,
  model         TEXT NOT NULL,
  calls         INTEGER NOT NULL,
  errors        INTEGER NOT NULL,
  cancelled     INTEGER NOT NULL,
  uncounted     INTEGER NOT NULL,
  input         INTEGER,
  output        INTEGER,
  cached_input  INTEGER,
  reasoning     INTEGER,
  cost          INTEGER,
  answered      INTEGER NOT NULL,
  first_token   INTEGER NOT NULL,
  total         INTEGER NOT NULL,
  PRIMARY KEY (day, who, provider, model)
) STRICT, WITHOUT ROWID;
