/* Making and checking the trailer of a signed database. See signature.h for its form.
 *
 * The file is hashed by BLAKE2b and the hash is signed: Ed25519 itself would go over the file with
 * SHA-512, at half the speed when checking and twice over when signing. The hash is keyed with
 * the purpose, so that no signature made for something else fits.
 */
#include "signature.h"

#include <sodium.h>
#include <string.h>

static const unsigned char magic[8] = {'T', 'S', 'D', 'K', 'S', 'I', 'G', '1'};
static const unsigned char purpose[] = "tunesmith signed database";

enum {
    SMALLEST_PAGE = 512,
    HEAD_BYTES = sizeof magic + DB_KEY_BYTES, /* of the trailer; signed with the pages */
    HASH_BYTES = crypto_generichash_BYTES_MAX,
};

_Static_assert(DB_SIGNATURE_BYTES == HEAD_BYTES + crypto_sign_BYTES, "the trailer's parts");
_Static_assert(DB_SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "libsodium's secret key");
_Static_assert(DB_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "libsodium's public key");

bool db_size_is_signed(int64_t bytes) {
    return bytes > SMALLEST_PAGE && bytes % SMALLEST_PAGE == DB_SIGNATURE_BYTES;
}

static void hash_parts(const void *pages, size_t bytes, const unsigned char head[HEAD_BYTES],
                       unsigned char hash[HASH_BYTES]) {
    crypto_generichash_state state;
    crypto_generichash_init(&state, purpose, sizeof purpose - 1, HASH_BYTES);
    crypto_generichash_update(&state, pages, bytes);
    crypto_generichash_update(&state, head, HEAD_BYTES);
    crypto_generichash_final(&state, hash, HASH_BYTES);
}

ts_status db_signature_check(const void *file, size_t bytes, const char *path,
                             db_public_key *signer, ts_err *err) {
    unsigned char hash[HASH_BYTES];
    if (sodium_init() < 0) return ts_fail(err, TS_STATUS_IO, "libsodium does not start");
    const unsigned char *head = (const unsigned char *)file + bytes - DB_SIGNATURE_BYTES;
    bool good = db_size_is_signed((int64_t)bytes) && memcmp(head, magic, sizeof magic) == 0;
    if (good) {
        hash_parts(file, bytes - DB_SIGNATURE_BYTES, head, hash);
        good = crypto_sign_verify_detached(head + HEAD_BYTES, hash, sizeof hash,
                                           head + sizeof magic) == 0;
    }
    if (!good)
        return ts_fail(err, TS_STATUS_CORRUPT,
                       "%.600s: does not match its signature: it was changed after signing; get it "
                       "again from where it came",
                       path);
    memcpy(signer->bytes, head + sizeof magic, DB_KEY_BYTES);
    return TS_STATUS_OK;
}

ts_status db_signature_make(const void *pages, size_t bytes,
                            const unsigned char secret[DB_SECRET_BYTES],
                            unsigned char trailer[DB_SIGNATURE_BYTES], ts_err *err) {
    unsigned char hash[HASH_BYTES];
    if (sodium_init() < 0) return ts_fail(err, TS_STATUS_IO, "libsodium does not start");
    memcpy(trailer, magic, sizeof magic);
    crypto_sign_ed25519_sk_to_pk(trailer + sizeof magic, secret);
    hash_parts(pages, bytes, trailer, hash);
    crypto_sign_detached(trailer + HEAD_BYTES, NULL, hash, sizeof hash, secret);
    return TS_STATUS_OK;
}

/* ---- key files ---- */

static const char public_title[] = "tunesmith-public-key", secret_title[] = "tunesmith-secret-key";

static void append_key(ts_buf *out, const char *title, const unsigned char *key, size_t bytes) {
    char text[sodium_base64_ENCODED_LEN(DB_SECRET_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(text, sizeof text, key, bytes, sodium_base64_VARIANT_ORIGINAL);
    ts_buf_printf(out, "%s %s\n", title, text);
    sodium_memzero(text, sizeof text);
}

void db_public_key_text(const db_public_key *key, ts_buf *out) {
    append_key(out, public_title, key->bytes, DB_KEY_BYTES);
}

void db_secret_key_text(const unsigned char secret[DB_SECRET_BYTES], ts_buf *out) {
    append_key(out, secret_title, secret, DB_SECRET_BYTES);
}

static ts_status read_key(const char *path, const char *title, unsigned char *out, size_t bytes,
                          ts_err *err) {
    ts_buf text = {0};
    size_t title_bytes = strlen(title), found = 0;
    ts_status status = ts_file_read(path, &text, err);
    bool good = status == TS_STATUS_OK && text.bytes > title_bytes + 1 && text.bytes < 256 &&
                memcmp(text.data, title, title_bytes) == 0 && text.data[title_bytes] == ' ';
    if (good)
        good = sodium_base642bin(out, bytes, text.data + title_bytes + 1,
                                 text.bytes - title_bytes - 1, "\n", &found, NULL,
                                 sodium_base64_VARIANT_ORIGINAL) == 0 &&
               found == bytes;
    if (text.data) sodium_memzero(text.data, text.bytes);
    ts_buf_free(&text);
    if (status != TS_STATUS_OK || good) return status;
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                   "%.600s: not a file of one line \"%s KEY\"; `tune keygen --key FILE` makes a "
                   "pair, FILE the secret and FILE.pub the public key",
                   path, title);
}

ts_status db_public_key_read(const char *path, db_public_key *out, ts_err *err) {
    return read_key(path, public_title, out->bytes, DB_KEY_BYTES, err);
}

ts_status db_secret_key_read(const char *path, unsigned char out[DB_SECRET_BYTES], ts_err *err) {
    return read_key(path, secret_title, out, DB_SECRET_BYTES, err);
}
