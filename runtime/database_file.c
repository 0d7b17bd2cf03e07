/* Search order and trust of database files.
 *
 * A signature by a pinned key is trusted wherever the file lies and whoever owns it: its bytes were
 * read once, checked and used. Without one, the owner decides. CPU kernels are native code that runs in this process, so whoever can write the file can run code
 * as this user. That is no gain for the user or root; anybody else is refused. SQLite opens files
 * by name, so the state of the file is taken before and compared after reading: a file swapped
 * meanwhile (and even swapped back, which changes its ctime) is noticed before anything of it is
 * made executable.
 */
#include "database_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pinned_keys.h"

#define FILE_BELOW_DATA "tunesmith/tunesmith.db"

enum { OPEN_ATTEMPTS = 3 };

static bool exists(const char *path) { return access(path, F_OK) == 0; }

/* Writes "a" "b" to out; false if it is too long. */
static bool join(char out[RT_PATH_BYTES], const char *a, const char *b) {
    int length = snprintf(out, RT_PATH_BYTES, "%s%s", a, b);
    return length > 0 && length < RT_PATH_BYTES;
}

/* The XDG rule: a relative XDG_DATA_HOME counts as not set. */
static bool user_file(char out[RT_PATH_BYTES]) {
    const char *data = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");
    if (data && data[0] == '/') return join(out, data, "/" FILE_BELOW_DATA);
    return home && home[0] == '/' && join(out, home, "/.local/share/" FILE_BELOW_DATA);
}

/* The first that exists below XDG_DATA_DIRS; `looked` receives the places, for a message. */
static bool system_file(char out[RT_PATH_BYTES], ts_buf *looked) {
    const char *folders = secure_getenv("XDG_DATA_DIRS");
    if (!folders || !*folders) folders = "/usr/local/share:/usr/share";
    for (const char *at = folders, *end; *at; at = *end ? end + 1 : end) {
        end = at + strcspn(at, ":");
        int length = snprintf(out, RT_PATH_BYTES, "%.*s/" FILE_BELOW_DATA, (int)(end - at), at);
        if (*at != '/' || length >= RT_PATH_BYTES) continue;
        ts_buf_printf(looked, ", %s", out);
        if (exists(out)) return true;
    }
    return false;
}

static ts_status take(const char *path, const char *source, rt_place out[RT_LAYERS], size_t *count,
                      ts_err *err) {
    if (!exists(path))
        return ts_fail(err, TS_STATUS_NOT_FOUND,
                       "no kernel database %.400s%s: %s; make it with `tune --db %.300s`", path,
                       source, strerror(errno), path);
    if (!join(out[0].path, path, ""))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "database path is too long");
    out[0].is_system = false;
    *count = 1;
    return TS_STATUS_OK;
}

ts_status rt_database_find(const char *path, rt_place out[RT_LAYERS], size_t *count, ts_err *err) {
    const char *variable = secure_getenv("TUNESMITH_DB");
    if (path) return take(path, "", out, count, err);
    if (variable && *variable) return take(variable, " (TUNESMITH_DB)", out, count, err);
    ts_buf looked = {0};
    size_t found = 0;
    bool have_home = user_file(out[0].path);
    ts_buf_printf(&looked, "%s", have_home ? out[0].path : "(no home directory)");
    if (have_home && exists(out[0].path)) out[found++].is_system = false;
    if (system_file(out[found].path, &looked)) out[found++].is_system = true;
    *count = found;
    ts_status status = TS_STATUS_OK;
    if (found == 0)
        status = ts_fail(err, TS_STATUS_NOT_FOUND,
                         "no kernel database: TUNESMITH_DB is not set, and there is none of "
                         "%.800s; make one with `tune`, or name one",
                         looked.data ? looked.data : "the usual places");
    ts_buf_free(&looked);
    return status;
}

/* ---- trust ---- */

static ts_status check_owner_and_mode(const char *path, bool native, const struct stat *info,
                                      ts_err *err) {
    if (!S_ISREG(info->st_mode)) return ts_fail(err, TS_STATUS_CORRUPT, "%.600s: not a file", path);
    if (info->st_uid != geteuid() && info->st_uid != 0)
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%.600s belongs to user %u and is not signed by a trusted key: kernels load only from "
            "files of your own or of root; copy it if you trust it",
            path, (unsigned)info->st_uid);
    if (native && info->st_mode & (S_IWGRP | S_IWOTH))
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%.400s can be written by others (mode %03o): CPU kernels are native code; if you "
            "trust it, run chmod go-w %.400s",
            path, (unsigned)(info->st_mode & 0777), path);
    return TS_STATUS_OK;
}

/* Refuses a file that somebody other than this user and root could have written; *seen is its
 * state. */
static ts_status check_owner(const char *path, bool native, struct stat *seen, ts_err *err) {
    /* What SQLite may read beside the file: a log or journal planted there would be as good as the
     * file. */
    static const char *const companions[] = {"-wal", "-journal", "-shm"};
    TS_TRY(check_owner_and_mode(path, native, seen, err));
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        char name[RT_PATH_BYTES];
        struct stat info;
        if (!join(name, path, companions[i]))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "path is too long");
        if (stat(name, &info) == 0) TS_TRY(check_owner_and_mode(name, native, &info, err));
    }
    return TS_STATUS_OK;
}

static bool same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static ts_status check_unchanged(const char *path, bool native, const struct stat *seen,
                                 ts_err *err) {
    struct stat now;
    if (stat(path, &now) != 0) return ts_fail(err, TS_STATUS_NOT_FOUND, "%.600s: %m", path);
    TS_TRY(check_owner(path, native, &now, err));
    if (now.st_dev != seen->st_dev || now.st_ino != seen->st_ino || now.st_size != seen->st_size ||
        !same_time(now.st_mtim, seen->st_mtim) || !same_time(now.st_ctim, seen->st_ctim))
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "%.600s changed while it was read (a tuner at work?): try again", path);
    return TS_STATUS_OK;
}

static ts_status check_place(const rt_place *place, bool native, struct stat *seen, ts_err *err) {
    if (place->is_system)
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "%.400s is the system's and not signed by a trusted key; if you trust it, "
                       "put its signer's public key into ~/.config/tunesmith/keys or "
                       "/etc/tunesmith/keys, or name the file",
                       place->path);
    return check_owner(place->path, native, seen, err);
}

/* One attempt; what is not trusted is not even read, unless a signature may speak for it. */
static ts_status load_once(const rt_place *place, bool native, const char *const *targets,
                           db_image *image, bool *changed, ts_err *err) {
    struct stat seen;
    if (stat(place->path, &seen) != 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "%.600s: %m", place->path);
    ts_err why = {0};
    ts_status owner = check_place(place, native, &seen, &why);
    if (owner != TS_STATUS_OK && !db_size_is_signed(seen.st_size))
        return ts_fail(err, owner, "%s", why.message);
    TS_TRY(db_image_open(place->path, targets, image, err));
    if (image->is_signed && rt_key_is_pinned(&image->signer)) return TS_STATUS_OK;
    ts_status status = owner;
    if (owner != TS_STATUS_OK)
        ts_fail(err, owner, "%s", why.message);
    else if (native)
        *changed = (status = check_unchanged(place->path, native, &seen, err)) != TS_STATUS_OK;
    if (status != TS_STATUS_OK) db_image_free(image);
    return status;
}

ts_status rt_database_load(const rt_place *place, bool native, const char *const *targets,
                           db_image *image, ts_err *err) {
    ts_status status = TS_STATUS_OK;
    bool changed = true; /* a tuner may be writing */
    for (int i = 0; i < OPEN_ATTEMPTS && changed; i++) {
        changed = false;
        status = load_once(place, native, targets, image, &changed, err);
    }
    return status;
}
