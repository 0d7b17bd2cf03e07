/* Files for tests: a scratch folder, safetensors written from a header text, fixtures read. */
#ifndef TESTS_MODEL_FILES_H
#define TESTS_MODEL_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/base.h"
#include "runtime/model/safetensors.h"

/* "FOLDER/NAME" in one of a few static buffers. */
static inline const char *scratch_path(const char *folder, const char *name) {
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline const char *scratch_make(void) {
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/tunesmith-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static inline void scratch_write(const char *folder, const char *name, const void *data,
                                 size_t bytes) {
    FILE *file = fopen(scratch_path(folder, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static inline void scratch_text(const char *folder, const char *name, const char *text) {
    scratch_write(folder, name, text, strlen(text));
}

/* A safetensors file with a header length of its own choosing. */
static inline void scratch_tensors_raw(const char *folder, const char *name, uint64_t length,
                                       const char *header, const void *data, size_t bytes) {
    ts_buf file = {0};
    unsigned char prefix[8];
    for (size_t i = 0; i < 8; i++) prefix[i] = (unsigned char)(length >> 8 * i);
    ts_buf_append(&file, prefix, 8);
    ts_buf_append(&file, header, strlen(header));
    ts_buf_append(&file, data, bytes);
    assert_false(file.failed);
    scratch_write(folder, name, file.data, file.bytes);
    ts_buf_free(&file);
}

static inline void scratch_tensors(const char *folder, const char *name, const char *header,
                                   const void *data, size_t bytes) {
    scratch_tensors_raw(folder, name, strlen(header), header, data, bytes);
}

static inline void scratch_remove(const char *folder, const char *const *names) {
    for (; *names; names++) unlink(scratch_path(folder, *names));
    assert_int_equal(rmdir(folder), 0);
}

/* Opens tests/fixtures/NAME or fails the test with the reason. */
static inline rt_tensors *open_tensors(const char *path) {
    rt_tensors *set = NULL;
    ts_err err = {0};
    if (rt_tensors_open(path, &set, &err) != TS_STATUS_OK) fail_msg("%s", err.message);
    return set;
}

static inline const rt_tensor *tensor_of(const rt_tensors *set, const char *name) {
    const rt_tensor *tensor = rt_tensors_find(set, name);
    if (!tensor) fail_msg("tensor %s is missing", name);
    return tensor;
}

#endif
