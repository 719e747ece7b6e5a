-- The history of each cluster's figures: one row for each stretch of time and grain. data is packed by the poller. Times are whole
-- microseconds, grain is in seconds.
CREATE TABLE history (
  id      INTEGER PRIMARY KEY,
  cluster TEXT NOT NULL,
  grain   INTEGER NOT NULL,
  begin   INTEGER NOT NULL,
  data    BLOB NOT NULL,
  UNIQUE (cluster, grain, begin)
) STRICT;
