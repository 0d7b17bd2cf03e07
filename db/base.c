/* Shared C of all parts (base.h): errors, growable buffer, arena, content hash, whole-file reads
 * and writes.
 *
 * Owns no state: everything lives in structs of the caller, so all of it may be used from any
 * thread as long as one struct stays with one thread. Does not know SQLite, Lua, CUDA or any type
 * of another part. Builders (buffer, hash) do not report each step: a buffer remembers that an
 * allocation failed and the caller asks once; hashing cannot fail.
 */
#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- errors ---- */

/* Messages quote files, and are one line whatever those hold; control characters would also reach
 * the terminal. */
static void make_one_line(char *message) {
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = ' ';
}

ts_status ts_fail(ts_err *err, ts_status status, const char *format, ...) {
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    make_one_line(err->message);
    return status;
}

const char *ts_status_text(ts_status status) {
    static const char *const texts[] = {
#define STATUS_TEXT(name, text) [TS_STATUS_##name] = text,
        TS_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    };
    size_t index = (size_t)status;
    return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown status";
}

/* ---- buffer ---- */

/* Makes room for `bytes` more and the NUL. Doubling keeps a builder linear in its result. */
static bool buf_reserve(ts_buf *buf, size_t bytes) {
    if (buf->failed) return false;
    if (bytes < buf->capacity - buf->bytes) return true;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity - buf->bytes <= bytes) {
        if (capacity > SIZE_MAX / 2) {
            buf->failed = true;
            return false;
        }
        capacity *= 2;
    }
    char *data = realloc(buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void ts_buf_append(ts_buf *buf, const void *data, size_t bytes) {
    if (!buf_reserve(buf, bytes)) return;
    if (bytes) memcpy(buf->data + buf->bytes, data, bytes);
    buf->bytes += bytes;
    buf->data[buf->bytes] = '\0';
}

void ts_buf_printf(ts_buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        buf->failed = true;
        return;
    }
    if (!buf_reserve(buf, (size_t)length)) return;
    va_start(args, format);
    vsnprintf(buf->data + buf->bytes, (size_t)length + 1, format, args);
    va_end(args);
    buf->bytes += (size_t)length;
}

void ts_buf_clear(ts_buf *buf) {
    buf->bytes = 0;
    if (buf->data) buf->data[0] = '\0';
}

void ts_buf_free(ts_buf *buf) {
    if (!buf) return;
    free(buf->data);
    *buf = (ts_buf){0};
}

/* ---- arena ---- */

enum { ARENA_ALIGN = 16, ARENA_BLOCK_BYTES = 16 * 1024 };

struct ts_arena_block {
    struct ts_arena_block *next;
    size_t used, capacity;
    _Alignas(ARENA_ALIGN) unsigned char data[];
};

/* A request larger than a block gets its own, put behind the head so that the head's rest stays
 * usable. */
static struct ts_arena_block *arena_block_add(ts_arena *arena, size_t bytes) {
    size_t capacity = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
    if (capacity > SIZE_MAX - sizeof(struct ts_arena_block)) return NULL;
    struct ts_arena_block *block = calloc(1, sizeof *block + capacity);
    if (!block) return NULL;
    block->capacity = capacity;
    if (arena->head && bytes > ARENA_BLOCK_BYTES) {
        block->next = arena->head->next;
        arena->head->next = block;
    } else {
        block->next = arena->head;
        arena->head = block;
    }
    return block;
}

void *ts_arena_alloc(ts_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - ARENA_ALIGN) return NULL;
    bytes = bytes ? (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1) : ARENA_ALIGN;
    struct ts_arena_block *block = arena->head;
    if (!block || block->capacity - block->used < bytes) block = arena_block_add(arena, bytes);
    if (!block) return NULL;
    void *memory = block->data + block->used;
    block->used += bytes;
    return memory;
}

char *ts_arena_strdup(ts_arena *arena, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = ts_arena_alloc(arena, bytes);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

char *ts_arena_printf(ts_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) return NULL;
    char *text = ts_arena_alloc(arena, (size_t)length + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void ts_arena_free(ts_arena *arena) {
    if (!arena) return;
    struct ts_arena_block *block = arena->head;
    while (block) {
        struct ts_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->head = NULL;
}

/* ---- hash ---- */

enum { HASH_BYTES = (TS_HASH_HEX - 1) / 2 };

_Static_assert(sizeof(crypto_generichash_state) <= sizeof((ts_hash *)0)->state,
               "ts_hash must hold libsodium's state");
_Static_assert(_Alignof(crypto_generichash_state) <= _Alignof(ts_hash),
               "ts_hash must be aligned for libsodium's state");

static crypto_generichash_state *hash_state(ts_hash *hash) {
    return (crypto_generichash_state *)(void *)hash->state;
}

/* sodium_init is not called: it only picks a faster implementation, and as a library we do not want
 * its opening of the random device. The results of the calls below are constant 0 for these sizes.
 */
void ts_hash_init(ts_hash *hash) {
    (void)crypto_generichash_init(hash_state(hash), NULL, 0, HASH_BYTES);
}

void ts_hash_part(ts_hash *hash, const void *data, size_t bytes) {
    unsigned char length[8]; /* little-endian on every machine, so hashes can be shared */
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)bytes >> (8 * i));
    (void)crypto_generichash_update(hash_state(hash), length, sizeof length);
    if (bytes) (void)crypto_generichash_update(hash_state(hash), data, bytes);
}

void ts_hash_text(ts_hash *hash, const char *text) {
    ts_hash_part(hash, text ? text : "", text ? strlen(text) : 0);
}

void ts_hash_final(ts_hash *hash, char hex[TS_HASH_HEX]) {
    unsigned char digest[HASH_BYTES];
    (void)crypto_generichash_final(hash_state(hash), digest, sizeof digest);
    (void)sodium_bin2hex(hex, TS_HASH_HEX, digest, sizeof digest);
}

/* ---- files ---- */

ts_status ts_file_read(const char *path, ts_buf *out, ts_err *err) {
    size_t before = out->bytes;
    ts_status status = TS_STATUS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ts_fail(err, errno == ENOENT ? TS_STATUS_NOT_FOUND : TS_STATUS_IO,
                       "cannot open %s: %s", path, strerror(errno));
    }
    ts_buf_append(out, NULL, 0); /* an empty file still yields "" */
    for (;;) {
        char chunk[64 * 1024];
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            status = ts_fail(err, TS_STATUS_IO, "cannot read %s: %s", path, strerror(errno));
            goto done;
        }
        if (got == 0) break;
        ts_buf_append(out, chunk, (size_t)got);
    }
    if (out->failed)
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory reading %s", path);

done:
    if (status != TS_STATUS_OK && out->data) {
        out->bytes = before;
        out->data[before] = '\0';
    }
    close(fd);
    return status;
}

static bool write_all(int fd, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t put = write(fd, data, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        data += put;
        bytes -= (size_t)put;
    }
    return true;
}

/* Makes the rename itself survive a power loss. Some file systems refuse fsync on a folder; the
 * file is whole either way, so a failure is not reported. */
static void sync_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!folder) return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

ts_status ts_file_write(const char *path, const void *data, size_t bytes, ts_err *err) {
    ts_status status = TS_STATUS_OK;
    int fd = -1;
    bool created = false;
    ts_buf temporary = {0};
    /* mkostemp makes a new file of ours even when another process writes the same path. */
    ts_buf_printf(&temporary, "%s.XXXXXX", path);
    if (temporary.failed) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "out of memory writing %s", path);
        goto done;
    }
    fd = mkostemp(temporary.data, O_CLOEXEC);
    if (fd < 0) {
        status = ts_fail(err, TS_STATUS_IO, "cannot create a file beside %s: %s", path,
                         strerror(errno));
        goto done;
    }
    created = true;
    struct stat old;
    /* mkostemp makes 0600: keep the mode of what is replaced, else readable by all, writable by us
     * only. */
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 0777 : 0644;
    if (fchmod(fd, mode) != 0 || !write_all(fd, data, bytes) || fsync(fd) != 0) {
        status = ts_fail(err, TS_STATUS_IO, "cannot write %s: %s", path, strerror(errno));
        goto done;
    }
    if (rename(temporary.data, path) != 0) {
        status = ts_fail(err, TS_STATUS_IO, "cannot rename onto %s: %s", path, strerror(errno));
        goto done;
    }
    created = false;
    sync_folder_of(path);

done:
    if (fd >= 0) close(fd);
    if (created) unlink(temporary.data);
    ts_buf_free(&temporary);
    return status;
}
