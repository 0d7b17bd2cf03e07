/* Signed databases: an Ed25519 signature behind the last page of the file.
 *
 * The trailer is 8 bytes of magic, the signer's public key (32) and the signature (64) of the
 * BLAKE2b-512 of everything before the signature. So it travels in the one file that people copy,
 * and a program that knows nothing of it still reads the database, since SQLite counts pages.
 * Whether a file is signed is told by its size alone: pages are multiples of 512 bytes. A changed
 * byte can therefore not turn a signed file into an unsigned one.
 */
#ifndef DB_SIGNATURE_H
#define DB_SIGNATURE_H

#include "base.h"

enum {
    DB_KEY_BYTES = 32,        /* of a public key */
    DB_SECRET_BYTES = 64,     /* of a secret key: seed and public key */
    DB_SIGNATURE_BYTES = 104, /* of the trailer */
};

typedef struct db_public_key {
    unsigned char bytes[DB_KEY_BYTES];
} db_public_key;

/* Does a file of this size carry a signature? */
bool db_size_is_signed(int64_t bytes);

/* Checks the signature of a whole signed file in memory; *signer receives who signed, which says
 * nothing about whether that key is trusted. CORRUPT: changed since. `path` is for messages. Any
 * thread. */
ts_status db_signature_check(const void *file, size_t bytes, const char *path,
                             db_public_key *signer, ts_err *err);

/* Writes the trailer of `pages` (a whole unsigned file). */
ts_status db_signature_make(const void *pages, size_t bytes,
                            const unsigned char secret[DB_SECRET_BYTES],
                            unsigned char trailer[DB_SIGNATURE_BYTES], ts_err *err);

/* Reads a key file, one line: what it is, then the key in base64. INVALID_ARGUMENT: not such a
 * file. The secret is the caller's to wipe. */
ts_status db_public_key_read(const char *path, db_public_key *out, ts_err *err);
ts_status db_secret_key_read(const char *path, unsigned char out[DB_SECRET_BYTES], ts_err *err);
/* Appends the line of a key file. */
void db_public_key_text(const db_public_key *key, ts_buf *out);
void db_secret_key_text(const unsigned char secret[DB_SECRET_BYTES], ts_buf *out);

#endif
