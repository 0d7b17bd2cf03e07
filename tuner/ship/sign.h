/* Keys and signatures of databases, on the command line. */
#ifndef TUNER_SHIP_SIGN_H
#define TUNER_SHIP_SIGN_H

#include "../../db/base.h"

/* True where `tune verify` is about a signature: --key is among the arguments. */
bool tuner_wants_signature(int argc, char **argv);

/* `tune verify --key PUB [--db FILE]`: is the file signed by that key and unchanged? CORRUPT or
 * UNSUPPORTED where it is not. */
ts_status tuner_verify_signature(int argc, char **argv, int *exit_code, ts_err *err);

#endif
