/* The database: one SQLite file of kernels, results and winners (schema.sql).
 *
 * read.c loads what a runtime needs into plain memory and closes the file; write.c belongs to the tuner.
 * They are separate objects so that the runtime links only the reader. Text keys used everywhere:
 *   problem  "selective_scan b=1 l=2048 d=1536 n=16 ..."  family, then every field in declared order
 *   spec     "n=16 dtype=bf16 gate=1"                     only the specialization fields, declared order
 *   extents  "b=1 l=2048 d=1536"                          only the extents, declared order
 *   variant  "selective_scan/seq threads=128 t=8"         family/version, then tunables, declared order
 */
#ifndef DB_STORE_H
#define DB_STORE_H

#include "base.h"
#include "signature.h"

#define DB_APPLICATION_ID 0x5453444b /* "TSDK" */
#define DB_USER_VERSION 2       /* schema version; an older file is read, a newer one refused */
#define DB_LAUNCH_FORMAT 1      /* format of the launch JSON; part of every abi */
#define DB_LAUNCH_FORMAT_MAPS 2 /* that of kernels with tensor maps; readers of 1 refuse it */

/* A variant compiled for one specialization and target. */
typedef struct db_kernel {
    int64_t id;
    const char *family, *version, *variant, *spec, *target;
    const char
        *abi; /* hash of fields, args.h members and launch format; the runtime skips others */
    const char *
        signature; /* hash of expanded source, options, compiler and oracle: what a result belongs to */
    const char *compiler; /* "nvrtc 13.0" or "gcc 12.2.0" */
    const char *options;  /* compile options as passed */
    const char *launch;   /* launch data, JSON (templates/README.md) */
    const void *blob;     /* cubin, or relocation-free ELF shared object */
    size_t blob_bytes;
    int32_t registers, spill_bytes, shared_bytes; /* -1 where the compiler does not say */
    int32_t driver_min; /* CUDA driver version needed, as cuDriverGetVersion counts; 0 for CPU */
    bool is_default;    /* the family's default variant of this specialization */
    const char *hash; /* over all of the above but id; set by reads, computed by db_write_kernel */
    const struct db_stored_blob *stored; /* code not looked at yet (db_image_open); else NULL */
} db_kernel;

typedef struct db_device {
    const char *name;   /* "NVIDIA H200", "AMD EPYC ..." */
    const char *target; /* best target of this device */
    int32_t sm_count;   /* CPU: cores */
    int64_t memory_bytes;
    const char *driver; /* "580.159.04"; CPU: "" */
} db_device;

/* One measured, rejected or failed variant. `status` is one of
 * ok, constraint, compile, spill, launch, wrong, timeout, crash, slow (screened out). */
typedef struct db_result {
    int64_t kernel_id; /* 0 where nothing was compiled */
    const char *problem, *variant, *target, *signature, *status, *reason;
    db_device device;
    double time_us, spread_us; /* median and half the 10..90 percentile range; NaN when not timed */
    int32_t samples;
    double error;         /* worst relative error norm seen; NaN when not verified */
    const char *evidence; /* JSON: clocks, policy, raw samples */
} db_result;

/* The verdict of a predicted winner that the ranking has not seen yet. */
#define DB_UNRANKED "unranked"

/* The choice for (problem, target, device). Never overwrites a better one: measured beats predicted. */
typedef struct db_winner {
    const char *problem, *target;
    db_device device;
    int64_t kernel_id;
    const char *variant;
    /* "measured"; or "predicted": nobody has run this kernel. A prediction is of the static model,
     * for any device of the target, whose name is empty then, or it was the winner of the named device
     * with other code (verdict and race say with which). */
    const char *evidence;
    double time_us, ci_low_us, ci_high_us, default_us;
    double gflops, gbytes; /* work of the problem, for share-of-limit printing */
    const char
        *family_hash; /* templates, args.h and family.lua at tuning time: differs -> tune again */
    const char *oracle_hash; /* ref.c and the verify cases: differs -> verify again */
    const char *compiler;
    const char *verdict; /* "win", "tie" (default kept), "default"; of a prediction: its reason */
    const char *race;    /* JSON: how it was chosen; NULL or "{}": not recorded. Of a winner with other
                            code: {"measured": {signature, verdict, time_us, ...}}, what it was */
} db_winner;

/* ---- reader (read.c) ---- */

typedef struct db_winner_row {
    db_winner winner;
    const db_kernel *kernel; /* into db_image.kernels */
} db_winner_row;

/* Everything usable in a file, in one arena; strings and blobs are borrowed from it. */
typedef struct db_image {
    ts_arena arena;
    db_kernel *kernels;
    size_t kernel_count;
    db_winner_row *winners;
    size_t winner_count;
    char *warnings
        [16]; /* rows that were skipped and why (hash, foreign abi is the runtime's to judge) */
    size_t warning_count;
    bool is_signed; /* and unchanged since, or it would not have been loaded */
    db_public_key signer;
} db_image;

/* Opens `path` read-only and untrusted (immutable when possible, defensive, trusted_schema off, no views
 * or triggers), checks application id, version and every row's hash (of a signed file the signature
 * instead), loads winners and default kernels whose target is in the NULL-terminated list `targets` (NULL:
 * all), and the winners' kernels; other kernels only lost and stay in the file. Rows with a wrong hash are
 * left out with a warning. NOT_FOUND: no file. CORRUPT: not a database, not ours, or signed and changed
 * since. UNSUPPORTED: newer schema version. Free with db_image_free. */
ts_status db_image_load(const char *path, const char *const *targets, db_image *out, ts_err *err);
/* The same, but code is neither unpacked nor checked: `blob` is NULL until db_kernel_unpack. */
ts_status db_image_open(const char *path, const char *const *targets, db_image *out, ts_err *err);
/* Unpacks the code of such a kernel into `arena` and checks it; does nothing where that is done. CORRUPT: it
 * does not match its hash. */
ts_status db_kernel_unpack(db_kernel *kernel, ts_arena *arena, ts_err *err);
void db_image_free(db_image *image);

/* ---- writer (write.c); one writer object per process, not thread-safe ---- */

typedef struct db_writer db_writer;

/* Opens or creates `path` for writing: WAL, busy timeout, schema checked or made. Several processes may
 * write the same file. A file of an older schema version is brought to the newest. A file that is not ours
 * is refused unchanged, with the reader's messages; so is a signed one (UNSUPPORTED). */
ts_status db_writer_open(const char *path, db_writer **out, ts_err *err);
/* Checkpoints, leaves journal mode DELETE (the last of several writers does), closes. NULL is allowed. */
void db_writer_close(db_writer *writer);

/* Inserts or finds the same kernel (by hash, which is computed here); *id receives its row. */
ts_status db_write_kernel(db_writer *w, const db_kernel *kernel, int64_t *id, ts_err *err);
/* One committed transaction per result; replaces that of the same (problem, variant, target, device name,
 * signature). INVALID_ARGUMENT: no such kernel. */
ts_status db_write_result(db_writer *w, const db_result *result, ts_err *err);
/* Replaces the winner of (problem, target, device); a measured one is never replaced by a predicted one, and
 * ends what was predicted for the problem on any device of the target. */
ts_status db_write_winner(db_writer *w, const db_winner *winner, ts_err *err);
ts_status db_meta_set(db_writer *w, const char *key, const char *value, ts_err *err);

/* ---- asking row by row (resume.c); belongs to the tuner too ---- */

typedef struct db_reader db_reader;

/* Opens an existing file read-only and untrusted, also one that is signed, read-only or of an older schema
 * version; refuses as db_image_load does. */
ts_status db_reader_open(const char *path, db_reader **out, ts_err *err);
void db_reader_close(db_reader *reader); /* NULL is allowed */
/* For what the writer's file holds; lives as long as the writer, and is not closed. */
db_reader *db_writer_reader(db_writer *writer);

/* Loads the kernel row `id`, blob included; strings live in `arena`. */
ts_status db_read_kernel(db_reader *r, int64_t id, ts_arena *arena, db_kernel *out, ts_err *err);
/* Calls back for every stored result of (problem, target, device name), oldest first; strings live during
 * the call, which must not use the reader. A row that fails its hash is skipped, as if never measured. */
ts_status db_each_result(db_reader *r, const char *problem, const char *target, const char *device,
                         void (*each)(void *context, const db_result *result), void *context,
                         ts_err *err);
/* The stored winner, strings in `arena`; NOT_FOUND if there is none or it fails its hash. */
ts_status db_read_winner(db_reader *r, const char *problem, const char *target, const char *device,
                         ts_arena *arena, db_winner *out, ts_err *err);

#endif
