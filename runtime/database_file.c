/* Search order and trust of database files.
 *
 * CPU kernels are native code that runs in this process, so whoever can write the file can run code
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
#include <unistd.h>

#define FILE_BELOW_DATA "tunesmith/tunesmith.db"

static const char *const system_files[] = {
    "/usr/local/share/" FILE_BELOW_DATA,
    "/usr/share/" FILE_BELOW_DATA,
};

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

static ts_status take(const char *path, const char *source, char out[RT_PATH_BYTES], ts_err *err) {
    if (!exists(path))
        return ts_fail(err, TS_STATUS_NOT_FOUND,
                       "no kernel database %.400s%s: %s; make it with `tune --db %.300s`", path,
                       source, strerror(errno), path);
    if (!join(out, path, ""))
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "database path is too long");
    return TS_STATUS_OK;
}

ts_status rt_database_find(const char *path, char out[RT_PATH_BYTES], ts_err *err) {
    const char *variable = secure_getenv("TUNESMITH_DB");
    if (path) return take(path, "", out, err);
    if (variable && *variable) return take(variable, " (TUNESMITH_DB)", out, err);
    char user[RT_PATH_BYTES] = "(no home directory)";
    if (user_file(user) && exists(user)) return join(out, user, ""), TS_STATUS_OK;
    for (size_t i = 0; i < sizeof system_files / sizeof system_files[0]; i++)
        if (exists(system_files[i])) return join(out, system_files[i], ""), TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_NOT_FOUND,
                   "no kernel database: TUNESMITH_DB is not set, and there is no %.600s, %s or %s; "
                   "make one with `tune`, or name one",
                   user, system_files[0], system_files[1]);
}

static ts_status check_owner_and_mode(const char *path, const struct stat *info, ts_err *err) {
    if (!S_ISREG(info->st_mode)) return ts_fail(err, TS_STATUS_CORRUPT, "%.600s: not a file", path);
    if (info->st_uid != geteuid() && info->st_uid != 0)
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%.600s belongs to user %u: CPU kernels are native code and load only from files of "
            "your own or of root; copy it if you trust it",
            path, (unsigned)info->st_uid);
    if (info->st_mode & (S_IWGRP | S_IWOTH))
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "%.400s can be written by others (mode %03o): CPU kernels are native code; if you "
            "trust it, run chmod go-w %.400s",
            path, (unsigned)(info->st_mode & 0777), path);
    return TS_STATUS_OK;
}

ts_status rt_database_trusted(const char *path, struct stat *seen, ts_err *err) {
    /* What SQLite may read beside the file: a log or journal planted there would be as good as the
     * file. */
    static const char *const companions[] = {"-wal", "-journal", "-shm"};
    if (stat(path, seen) != 0)
        return ts_fail(err, TS_STATUS_NOT_FOUND, "%.600s: %s", path, strerror(errno));
    TS_TRY(check_owner_and_mode(path, seen, err));
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        char name[RT_PATH_BYTES];
        struct stat info;
        if (!join(name, path, companions[i]))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "path is too long");
        if (stat(name, &info) == 0) TS_TRY(check_owner_and_mode(name, &info, err));
    }
    return TS_STATUS_OK;
}

static bool same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

ts_status rt_database_unchanged(const char *path, const struct stat *seen, ts_err *err) {
    struct stat now;
    TS_TRY(rt_database_trusted(path, &now, err));
    if (now.st_dev != seen->st_dev || now.st_ino != seen->st_ino || now.st_size != seen->st_size ||
        !same_time(now.st_mtim, seen->st_mtim) || !same_time(now.st_ctim, seen->st_ctim))
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "%.600s changed while it was read (a tuner at work?): try again", path);
    return TS_STATUS_OK;
}
