-- The Tunesmith database, schema version 2 (user_version), known by application_id (db/store.h).
-- Embedded in reader and writer by db/schema.c. A file is accepted only if its own schema is this
-- one, word for word: whatever changes here needs a new DB_USER_VERSION, a step in db/migrate.c, and
-- DB_SCHEMA_HASH anew (tests/db/file_test.c says it).
--
-- Times are microseconds, sizes bytes. `hash` columns hold 64 hex digits of BLAKE2b-256 (db/row.c
-- says over what); a row whose content no longer matches its hash is treated as absent.

-- Facts about the file itself, for people: which program made it, from which templates.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What code is generated for: "sm_90a", "cpu-x86-64-v3".
CREATE TABLE target (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- What was measured on. Rows are never changed: a new driver makes a new row, so that a result
-- keeps the one it was measured with. Results and winners are replaced by device name, whatever the
-- driver.
CREATE TABLE device (
  id           INTEGER PRIMARY KEY,
  name         TEXT NOT NULL,
  target_id    INTEGER NOT NULL REFERENCES target (id),  -- best target of this device
  sm_count     INTEGER NOT NULL,                         -- CPU: cores
  memory_bytes INTEGER NOT NULL,
  driver       TEXT NOT NULL,                            -- CPU: ''
  UNIQUE (name, target_id, sm_count, memory_bytes, driver)
) STRICT;

-- "selective_scan b=1 l=2048 d=1536 n=16 ...": the family, then every field in declared order.
CREATE TABLE problem (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Compiled code. Variants that compile to the same bytes share one row. Kept apart from `kernel` so
-- that reading all kernel rows does not read all code.
CREATE TABLE blob (
  id        INTEGER PRIMARY KEY,
  hash      TEXT NOT NULL UNIQUE,  -- over the code, whatever it is packed with
  codec     TEXT NOT NULL,         -- 'none', or 'zstd' in a file made to be shipped
  raw_bytes INTEGER NOT NULL,      -- size of the code
  bytes     BLOB NOT NULL
) STRICT;

-- A variant compiled for one specialization and target.
CREATE TABLE kernel (
  id           INTEGER PRIMARY KEY,
  family       TEXT NOT NULL,
  version      TEXT NOT NULL,
  variant      TEXT NOT NULL,
  spec         TEXT NOT NULL,
  target_id    INTEGER NOT NULL REFERENCES target (id),
  abi          TEXT NOT NULL,     -- a runtime that was built with another skips the row
  signature    TEXT NOT NULL,     -- source, options, compiler and oracle; another one: tune again
  compiler     TEXT NOT NULL,
  options      TEXT NOT NULL,
  launch       TEXT NOT NULL,     -- JSON, templates/README.md
  registers    INTEGER NOT NULL,  -- -1 in these three: the compiler does not say
  spill_bytes  INTEGER NOT NULL,
  shared_bytes INTEGER NOT NULL,
  driver_min   INTEGER NOT NULL,  -- as cuDriverGetVersion counts; CPU: 0
  is_default   INTEGER NOT NULL,  -- 1: the family's default variant of this specialization
  blob_id      INTEGER NOT NULL REFERENCES blob (id),
  hash         TEXT NOT NULL UNIQUE
) STRICT;

-- One measured, rejected or failed variant on one device, with its reason and evidence.
CREATE TABLE result (
  id         INTEGER PRIMARY KEY,
  problem_id INTEGER NOT NULL REFERENCES problem (id),
  target_id  INTEGER NOT NULL REFERENCES target (id),
  device_id  INTEGER NOT NULL REFERENCES device (id),
  variant    TEXT NOT NULL,
  signature  TEXT NOT NULL,
  kernel_id  INTEGER REFERENCES kernel (id),  -- NULL: nothing was compiled
  status     TEXT NOT NULL,
  reason     TEXT NOT NULL,
  time_us    REAL,                            -- NULL: not timed
  spread_us  REAL,
  samples    INTEGER NOT NULL,
  error      REAL,                            -- NULL: not verified
  evidence   TEXT NOT NULL,                   -- JSON
  hash       TEXT NOT NULL,
  UNIQUE (problem_id, target_id, device_id, variant, signature)
) STRICT;

-- The choice for (problem, target, device).
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
  race        TEXT NOT NULL,  -- JSON: how it was chosen; '{}' where nobody wrote it down
  hash        TEXT NOT NULL,
  UNIQUE (problem_id, target_id, device_id)
) STRICT;
