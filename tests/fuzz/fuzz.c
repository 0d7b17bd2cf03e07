#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static pid_t owner;

static void give_up(const char *what) {
    perror(what);
    abort();
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static void remove_folder(void) {
    if (getpid() == owner) nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void) {
    if (folder[0]) return folder;
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/tunesmith-fuzz-XXXXXX", memory);
    if (!mkdtemp(folder)) give_up(folder);
    owner = getpid();
    atexit(remove_folder);
    return folder;
}

const char *fuzz_path(const char *name) {
    static char paths[16][128];
    static int next = 0;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", fuzz_folder(), name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(path, 0700);
    }
    return path;
}

/* Not ts_file_write: its fsync would be most of the time. */
const char *fuzz_file(const char *name, const void *data, size_t bytes) {
    const char *path = fuzz_path(name);
    FILE *file = fopen(path, "wb");
    if (!file || (bytes && fwrite(data, 1, bytes, file) != bytes) || fclose(file) != 0)
        give_up(path);
    return path;
}

void fuzz_require(bool held, const char *promise) {
    if (held) return;
    fprintf(stderr, "broken promise: %s\n", promise);
    abort();
}

void fuzz_check_error(ts_status status, const ts_err *err) {
    if (status == TS_STATUS_OK) return;
    if (err->status == status && err->message[0] && !strpbrk(err->message, "\r\n")) return;
    fprintf(stderr, "status %d with error %d: \"%s\"\n", (int)status, (int)err->status,
            err->message);
    abort();
}

void fuzz_touch(const void *data, size_t bytes) {
    static volatile uint8_t sum;
    for (size_t i = 0; i < bytes; i++) sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
}
