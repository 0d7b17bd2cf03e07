-- The two tables that schema version 1 had otherwise than schema.sql, word for word: by them a file
-- of version 1 is recognised.
CREATE TABLE blob (
  id    INTEGER PRIMARY KEY,
  hash  TEXT NOT NULL UNIQUE,  -- over bytes
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE winner (
  id          INTEGER PRIMARY KEY,
  problem_id  INTEGER NOT NULL REFERENCES problem (id),
  target_id   INTEGER NOT NULL REFERENCES target (id),
  device_id   INTEGER NOT NULL REFERENCES device (id),
  kernel_id   INTEGER NOT NULL REFERENCES kernel (id),
  variant     TEXT NOT NULL,
  evidence    TEXT NOT NULL,  -- 'measured' or 'predicted'
  time_us     REAL,           -- NULL in these four: not timed
  ci_low_us   REAL,
  ci_high_us  REAL,
  default_us  REAL,
  gflops      REAL,
  gbytes      REAL,
  family_hash TEXT NOT NULL,
  oracle_hash TEXT NOT NULL,
  compiler    TEXT NOT NULL,
  verdict     TEXT NOT NULL,
  hash        TEXT NOT NULL,
  UNIQUE (problem_id, target_id, device_id)
) STRICT;
