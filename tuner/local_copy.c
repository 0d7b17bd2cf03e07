/* Node-local copies. The name of a copy follows from the original's full path and state, so that the
 * next run finds what a killed one left, unless the original has moved on since; its folder is the
 * user's own, since others write to /tmp too. */
#include "local_copy.h"

#include "ledger.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Magic numbers of statfs(2); those that <linux/magic.h> lacks are from the projects' own headers.
 * FUSE may be local too, but then the copy costs little. */
static const struct {
    uint32_t magic;
    const char *name;
} network[] = {
    {NFS_SUPER_MAGIC, "nfs"},   {SMB_SUPER_MAGIC, "smb"},     {0xff534d42, "cifs"},
    {0xfe534d42, "smb2"},       {0x0bd00bd0, "lustre"},       {0x47504653, "gpfs"},
    {0x19830326, "beegfs"},     {0x00c36400, "ceph"},         {AFS_FS_MAGIC, "afs"},
    {AFS_SUPER_MAGIC, "afs"},   {CODA_SUPER_MAGIC, "coda"},   {V9FS_MAGIC, "9p"},
    {FUSE_SUPER_MAGIC, "fuse"}, {OCFS2_SUPER_MAGIC, "ocfs2"},
};

const char *tuner_network_filesystem(const char *path) {
    struct statfs info;
    char at[PATH_MAX];
    int length = snprintf(at, sizeof at, "%s", path);
    if (length < 0 || (size_t)length >= sizeof at) return NULL;
    while (statfs(at, &info) != 0) {
        char *slash = strrchr(at, '/');
        if (!slash)
            strcpy(at, ".");
        else if (slash == at)
            at[1] = '\0';
        else
            *slash = '\0';
        if (strcmp(at, "/") == 0 || strcmp(at, ".") == 0) {
            if (statfs(at, &info) != 0) return NULL;
            break;
        }
    }
    for (size_t i = 0; i < sizeof network / sizeof *network; i++)
        if ((uint32_t)info.f_type == network[i].magic) return network[i].name;
    return NULL;
}

static void look_at(const char *path, int64_t *bytes, int64_t *changed_ns) {
    struct stat info;
    *bytes = *changed_ns = -1;
    if (stat(path, &info) != 0) return;
    *bytes = info.st_size;
    *changed_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

/* A folder that only this user may enter, on a disk of this machine. */
static ts_status own_folder(ts_buf *out, ts_err *err) {
    const char *base = getenv("TMPDIR");
    struct stat info;
    if (!base || !*base) base = "/tmp";
    const char *kind = tuner_network_filesystem(base);
    if (kind)
        return ts_fail(err, TS_STATUS_IO,
                       "%s is on a network file system too (%s): set TMPDIR to a folder on a disk "
                       "of this machine, or --db to a file there",
                       base, kind);
    ts_buf_printf(out, "%s/tunesmith-%ld", base, (long)getuid());
    if (out->failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "path of the local copy");
    mkdir(out->data, 0700);
    if (lstat(out->data, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != getuid() ||
        (info.st_mode & 022))
        return ts_fail(err, TS_STATUS_IO, "%s is no folder of ours alone: set TMPDIR to another",
                       out->data);
    return TS_STATUS_OK;
}

/* The full path, also of a file that does not exist yet in a folder that does. */
static char *full_path(const char *path) {
    char real[PATH_MAX], folder[PATH_MAX];
    if (realpath(path, real)) return strdup(real);
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    if (!realpath(folder, real)) return strdup(path);
    ts_buf joined = {0};
    ts_buf_printf(&joined, "%s/%s", real, slash ? slash + 1 : path);
    char *result = joined.failed ? NULL : strdup(joined.data);
    ts_buf_free(&joined);
    return result;
}

static ts_status name_copy(tuner_local_copy *copy, ts_err *err) {
    ts_buf path = {0};
    ts_hash hash;
    char hex[TS_HASH_HEX];
    ts_status status = own_folder(&path, err);
    if (status == TS_STATUS_OK) {
        ts_hash_init(&hash);
        ts_hash_text(&hash, copy->original);
        ts_hash_part(&hash, &copy->bytes, sizeof copy->bytes);
        ts_hash_part(&hash, &copy->changed_ns, sizeof copy->changed_ns);
        ts_hash_final(&hash, hex);
        ts_buf_printf(&path, "/%.16s.db", hex);
        copy->path = path.failed ? NULL : strdup(path.data);
        if (!copy->path) status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "path of the local copy");
    }
    ts_buf_free(&path);
    return status;
}

static ts_status copy_file(const char *from, const char *to, ts_err *err) {
    ts_buf bytes = {0};
    ts_status status = ts_file_read(from, &bytes, err);
    if (status == TS_STATUS_OK) status = ts_file_write(to, bytes.data, bytes.bytes, err);
    ts_buf_free(&bytes);
    return status;
}

ts_status tuner_local_copy_make(const char *path, tuner_local_copy *out, ts_err *err) {
    *out = (tuner_local_copy){.kind = tuner_network_filesystem(path), .bytes = -1};
    if (!out->kind) return TS_STATUS_OK;
    tuner_make_folder_of(path); /* now, not when hours of tuning want to go there */
    out->original = full_path(path);
    if (!out->original) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "path of the local copy");
    look_at(out->original, &out->bytes, &out->changed_ns);
    TS_TRY(name_copy(out, err));
    bool left_over = access(out->path, F_OK) == 0; /* of a run that was killed: go on with it */
    if (left_over || out->bytes < 0) return TS_STATUS_OK;
    return copy_file(out->original, out->path, err);
}

ts_status tuner_local_copy_publish(tuner_local_copy *copy, ts_err *err) {
    int64_t bytes, changed_ns;
    if (!copy->path) return TS_STATUS_OK;
    look_at(copy->original, &bytes, &changed_ns);
    if (bytes != copy->bytes || changed_ns != copy->changed_ns)
        return ts_fail(err, TS_STATUS_IO,
                       "%s was changed by another program during the run: it stays as it is, and "
                       "what was measured here is in %s",
                       copy->original, copy->path);
    TS_TRY(copy_file(copy->path, copy->original, err));
    unlink(copy->path);
    return TS_STATUS_OK;
}

void tuner_local_copy_free(tuner_local_copy *copy) {
    free(copy->path);
    free(copy->original);
    *copy = (tuner_local_copy){0};
}
