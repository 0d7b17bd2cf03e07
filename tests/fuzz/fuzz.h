/* What the fuzz targets share: inputs as files, because files are what the readers read.
 *
 * A target is one LLVMFuzzerTestOneInput. Linked with libFuzzer (make fuzz) it is fed mutations,
 * linked with replay.c (make test) the files of its corpus. Both run under ASan and UBSan, whose
 * reports end the program; a target itself ends it where a reader's promise is broken.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "db/base.h"

/* Returns 0, or -1 for an input that is not worth keeping. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The program's scratch folder: made by the first call, in memory where the system has such a
 * place, removed with all it holds at exit. */
const char *fuzz_folder(void);
/* Path of `name` (which may lie in folders; they are made) in the scratch folder. Borrowed until
 * the 16th call from now. */
const char *fuzz_path(const char *name);
/* Replaces the file `name` and returns its path. */
const char *fuzz_file(const char *name, const void *data, size_t bytes);

/* A failed call must say so: ends the program unless `err` holds `status` and one line of text. */
void fuzz_check_error(ts_status status, const ts_err *err);
/* Ends the program with the text unless `held`. */
void fuzz_require(bool held, const char *promise);
/* Reads every byte, so that a pointer outside its file is noticed. */
void fuzz_touch(const void *data, size_t bytes);

#endif
