/* Export of a database for shipping: image -> sorted rows -> a new file -> packed, vacuumed.
 *
 * Defaults are kept beside the winners: they are the last step of the lookup, and what a packager's
 * user falls back to where a winner needs a newer driver. The races stay behind: their verdict and
 * interval are columns of the winner, the samples are of use to the tuner only.
 *
 * The rows go through the writer into a scratch file beside the target, so that there is one way to
 * store a row; VACUUM INTO then writes it page by page in order, which is also what makes the bytes
 * depend on the rows alone.
 */
#include "ship.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "row.h"
#include "writer.h"

enum { PACK_LEVEL = 19 };

/* ---- rows, sorted by content ---- */

static int compare_kernels(const void *a, const void *b) {
    return strcmp(((const db_kernel *)a)->hash, ((const db_kernel *)b)->hash);
}

static int compare_winners(const void *left, const void *right) {
    const db_winner *a = &((const db_winner_row *)left)->winner;
    const db_winner *b = &((const db_winner_row *)right)->winner;
    int order = strcmp(a->target, b->target);
    if (order == 0) order = strcmp(a->problem, b->problem);
    return order ? order : strcmp(a->device.name, b->device.name);
}

static ts_status write_rows(const db_image *image, const db_kernel *kernels, db_writer *w,
                            ts_err *err) {
    for (size_t i = 0; i < image->kernel_count; i++) {
        int64_t id;
        TS_TRY(db_write_kernel(w, &kernels[i], &id, err));
    }
    for (size_t i = 0; i < image->winner_count; i++) {
        db_winner winner = image->winners[i].winner;
        winner.race = "{}";
        TS_TRY(db_write_kernel(w, image->winners[i].kernel, &winner.kernel_id, err)); /* its row */
        TS_TRY(db_write_winner(w, &winner, err));
    }
    return db_meta_set(w, "shipped", "winners and defaults", err);
}

/* Winners point into image->kernels, so those are sorted as a copy. */
static ts_status fill(db_image *image, const char *path, ts_err *err) {
    db_writer *w = NULL;
    db_kernel *kernels = calloc(image->kernel_count + 1, sizeof *kernels);
    if (!kernels) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory to sort the kernels");
    memcpy(kernels, image->kernels, image->kernel_count * sizeof *kernels);
    qsort(kernels, image->kernel_count, sizeof *kernels, compare_kernels);
    qsort(image->winners, image->winner_count, sizeof *image->winners, compare_winners);
    ts_status status = db_writer_open(path, &w, err);
    if (status == TS_STATUS_OK) {
        sqlite3_exec(w->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL); /* a scratch file */
        status = write_rows(image, kernels, w, err);
    }
    db_writer_close(w);
    free(kernels);
    return status;
}

/* ---- packing ---- */

/* zstd(bytes, level): NULL where it fails. */
static void sql_pack(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    size_t bytes = (size_t)sqlite3_value_bytes(values[0]), most = ZSTD_compressBound(bytes);
    void *packed = malloc(most);
    size_t size = packed ? ZSTD_compress(packed, most, sqlite3_value_blob(values[0]), bytes,
                                         PACK_LEVEL)
                         : 0;
    if (packed && !ZSTD_isError(size))
        sqlite3_result_blob64(context, packed, size, SQLITE_TRANSIENT);
    else
        sqlite3_result_error_nomem(context);
    free(packed);
}

static ts_status pack(const char *path, const char *out_path, ts_err *err) {
    sqlite3 *db = NULL;
    sqlite3_stmt *vacuum = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_create_function(db, "zstd", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
                                       sql_pack, NULL, NULL);
    /* What does not shrink stays as it is. */
    if (code == SQLITE_OK)
        code = sqlite3_exec(db,
                            "PRAGMA synchronous = OFF; PRAGMA page_size = 4096;"
                            "UPDATE blob SET bytes = zstd(bytes), codec = 'zstd'"
                            " WHERE length(zstd(bytes)) < raw_bytes",
                            NULL, NULL, NULL);
    if (code == SQLITE_OK) code = sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &vacuum, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_text(vacuum, 1, out_path, -1, SQLITE_STATIC);
    if (code == SQLITE_OK && sqlite3_step(vacuum) != SQLITE_DONE) code = sqlite3_errcode(db);
    ts_status status = code == SQLITE_OK ? TS_STATUS_OK
                                         : db_sql_fail(db, code, out_path, "write it", err);
    sqlite3_finalize(vacuum);
    sqlite3_close(db);
    return status;
}

/* ---- the file ---- */

static ts_status ship_image(db_image *image, const char *out_path, ts_err *err) {
    ts_buf scratch = {0}, packed = {0};
    ts_buf_printf(&scratch, "%s.%ld.rows", out_path, (long)getpid());
    ts_buf_printf(&packed, "%s.%ld.new", out_path, (long)getpid());
    ts_status status = TS_STATUS_OK;
    if (scratch.failed || packed.failed)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a path");
    if (status == TS_STATUS_OK) status = fill(image, scratch.data, err);
    if (status == TS_STATUS_OK) status = pack(scratch.data, packed.data, err);
    /* link, not rename: a file that appeared meanwhile is not replaced. */
    if (status == TS_STATUS_OK &&
        (chmod(packed.data, 0444) != 0 || link(packed.data, out_path) != 0))
        status = ts_fail(err, TS_STATUS_IO, "cannot make %s: %m", out_path);
    if (scratch.data) unlink(scratch.data);
    if (packed.data) unlink(packed.data);
    ts_buf_free(&scratch);
    ts_buf_free(&packed);
    return status;
}

ts_status db_ship(const char *db_path, const char *out_path, db_ship_report *report, ts_err *err) {
    db_image image = {0};
    struct stat info;
    if (stat(out_path, &info) == 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "%s exists; remove it or name another",
                       out_path);
    ts_status status = db_image_load(db_path, NULL, &image, err);
    if (status != TS_STATUS_OK) return status;
    if (image.warning_count)
        status = ts_fail(err, TS_STATUS_CORRUPT, "nothing exported: %s", image.warnings[0]);
    else if (image.winner_count == 0)
        status = ts_fail(err, TS_STATUS_NOT_FOUND, "%s holds no winners; run tune first", db_path);
    else
        status = ship_image(&image, out_path, err);
    if (status == TS_STATUS_OK && stat(out_path, &info) == 0)
        *report = (db_ship_report){image.winner_count, image.kernel_count, info.st_size};
    db_image_free(&image);
    return status;
}
