/* `tune keygen`, `tune sign` and `tune verify --key`: who made a database, and is it still what he
 * made?
 */
#include "sign.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../db/store.h"
#include "../commands.h"
#include "../options.h"

typedef struct sign_options {
    const char *key, *db;
} sign_options;

static ts_status parse(int argc, char **argv, const char *command, sign_options *out, ts_err *err) {
    static const struct option longs[] = {{"key", required_argument, NULL, 'k'},
                                          {"db", required_argument, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    sign_options o = {0};
    opterr = 0;
    optind = 1;
    for (int id; (id = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        if (id != 'k' && id != 'd')
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unknown option or missing value: %s",
                           argv[optind - 1]);
        *(id == 'k' ? &o.key : &o.db) = optarg;
    }
    if (optind < argc)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "unexpected argument %s", argv[optind]);
    if (!o.key)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "tune %s needs --key FILE", command);
    *out = o;
    return TS_STATUS_OK;
}

/* ---- keygen ---- */

/* A new file with all of `text`, or none; nothing is ever overwritten. */
static ts_status write_new(const char *path, mode_t mode, const ts_buf *text, ts_err *err) {
    if (text->failed) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "key text");
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (file < 0)
        return ts_fail(err, errno == EEXIST ? TS_STATUS_INVALID_ARGUMENT : TS_STATUS_IO,
                       "cannot make %s: %s%s", path, strerror(errno),
                       errno == EEXIST ? "; a key is never overwritten, name another file" : "");
    bool whole = write(file, text->data, text->bytes) == (ssize_t)text->bytes && fsync(file) == 0;
    whole = close(file) == 0 && whole;
    if (whole) return TS_STATUS_OK;
    unlink(path);
    return ts_fail(err, TS_STATUS_IO, "cannot write %s", path);
}

static ts_status write_pair(const char *path, const char *public_path, ts_err *err) {
    db_public_key key;
    unsigned char secret[DB_SECRET_BYTES];
    ts_buf public_text = {0}, secret_text = {0};
    crypto_sign_keypair(key.bytes, secret);
    db_public_key_text(&key, &public_text);
    db_secret_key_text(secret, &secret_text);
    sodium_memzero(secret, sizeof secret);
    ts_status status = write_new(path, 0600, &secret_text, err);
    if (status == TS_STATUS_OK) {
        status = write_new(public_path, 0644, &public_text, err);
        if (status != TS_STATUS_OK) unlink(path);
    }
    if (status == TS_STATUS_OK)
        printf("secret key %s: keep it to yourself\npublic key %s: %s", path, public_path,
               public_text.data);
    if (secret_text.data) sodium_memzero(secret_text.data, secret_text.bytes);
    ts_buf_free(&secret_text);
    ts_buf_free(&public_text);
    return status;
}

ts_status tuner_command_keygen(int argc, char **argv, int *exit_code, ts_err *err) {
    sign_options o;
    ts_buf public_path = {0};
    TS_TRY(parse(argc, argv, "keygen", &o, err));
    if (o.db) return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "tune keygen takes no --db");
    if (sodium_init() < 0) return ts_fail(err, TS_STATUS_IO, "libsodium does not start");
    ts_buf_printf(&public_path, "%s.pub", o.key);
    ts_status status = public_path.failed
                           ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "path of the public key")
                           : write_pair(o.key, public_path.data, err);
    ts_buf_free(&public_path);
    *exit_code = TUNER_EXIT_OK;
    return status;
}

/* ---- sign ---- */

/* Only a file that stands alone and reads without a warning is worth a signature. */
static ts_status check_signable(const char *path, ts_err *err) {
    static const char *const companions[] = {"-wal", "-journal"};
    db_image image = {0};
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        ts_buf name = {0};
        ts_buf_printf(&name, "%s%s", path, companions[i]);
        bool there = name.failed || access(name.data, F_OK) == 0;
        ts_buf_free(&name);
        if (there)
            return ts_fail(err, TS_STATUS_UNSUPPORTED,
                           "%s is in use (it has a %s file); end what writes it first", path,
                           companions[i]);
    }
    TS_TRY(db_image_load(path, NULL, &image, err));
    ts_status status = TS_STATUS_OK;
    if (image.is_signed)
        status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                         "%s is signed already; sign what `tune export --ship` writes", path);
    else if (image.warning_count)
        status = ts_fail(err, TS_STATUS_CORRUPT, "not signed: %s", image.warnings[0]);
    db_image_free(&image);
    return status;
}

/* The whole file is replaced, so that it is signed or unsigned but never half of a trailer. */
static ts_status sign_file(const char *path, const unsigned char *secret, ts_err *err) {
    ts_buf file = {0};
    unsigned char trailer[DB_SIGNATURE_BYTES];
    struct stat info;
    TS_TRY(check_signable(path, err));
    if (stat(path, &info) != 0) return ts_fail(err, TS_STATUS_IO, "%s: %m", path);
    ts_status status = ts_file_read(path, &file, err);
    if (status == TS_STATUS_OK && file.bytes % 512 != 0)
        status = ts_fail(err, TS_STATUS_CORRUPT, "%s does not end with a page", path);
    if (status == TS_STATUS_OK)
        status = db_signature_make(file.data, file.bytes, secret, trailer, err);
    if (status == TS_STATUS_OK) {
        ts_buf_append(&file, trailer, sizeof trailer);
        status = file.failed ? ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%s: out of memory", path)
                             : ts_file_write(path, file.data, file.bytes, err);
    }
    if (status == TS_STATUS_OK && chmod(path, info.st_mode & 0777) != 0)
        status = ts_fail(err, TS_STATUS_IO, "%s: cannot restore its mode: %m", path);
    ts_buf_free(&file);
    return status;
}

ts_status tuner_command_sign(int argc, char **argv, int *exit_code, ts_err *err) {
    sign_options o;
    ts_buf path = {0};
    unsigned char secret[DB_SECRET_BYTES];
    TS_TRY(parse(argc, argv, "sign", &o, err));
    TS_TRY(db_secret_key_read(o.key, secret, err));
    ts_status status = tuner_database_path(o.db, &path, err);
    if (status == TS_STATUS_OK) status = sign_file(path.data, secret, err);
    if (status == TS_STATUS_OK) printf("%s: signed\n", path.data);
    sodium_memzero(secret, sizeof secret);
    ts_buf_free(&path);
    *exit_code = TUNER_EXIT_OK;
    return status;
}

/* ---- verify --key ---- */

bool tuner_wants_signature(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--key") == 0 || strncmp(argv[i], "--key=", 6) == 0) return true;
    return false;
}

static ts_status check_signer(const char *path, const db_public_key *key, ts_err *err) {
    db_image image = {0};
    TS_TRY(db_image_load(path, NULL, &image, err));
    ts_status status = TS_STATUS_OK;
    if (!image.is_signed)
        status = ts_fail(err, TS_STATUS_UNSUPPORTED, "%s is not signed", path);
    else if (memcmp(&image.signer, key, sizeof *key) != 0)
        status = ts_fail(err, TS_STATUS_UNSUPPORTED, "%s is signed by another key", path);
    else
        printf("%s: signed by this key and unchanged, %zu winners\n", path, image.winner_count);
    db_image_free(&image);
    return status;
}

ts_status tuner_verify_signature(int argc, char **argv, int *exit_code, ts_err *err) {
    sign_options o;
    db_public_key key;
    ts_buf path = {0};
    TS_TRY(parse(argc, argv, "verify", &o, err));
    TS_TRY(db_public_key_read(o.key, &key, err));
    ts_status status = tuner_database_path(o.db, &path, err);
    if (status == TS_STATUS_OK) status = check_signer(path.data, &key, err);
    ts_buf_free(&path);
    *exit_code = TUNER_EXIT_OK;
    return status;
}
