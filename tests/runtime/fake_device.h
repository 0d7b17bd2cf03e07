/* A GPU of the fake driver (fake_cuda.c), opened before each test and closed after it, and what
 * tests load and launch there. What only a GPU can show is tests/gpu's.
 *
 * The fake is loaded first under the soname libcuda.so.1, so the runtime's own dlopen finds it.
 */
#ifndef TESTS_RUNTIME_FAKE_DEVICE_H
#define TESTS_RUNTIME_FAKE_DEVICE_H

#include "fake_cuda.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/device_cuda.h"

static fake_state *fake;
static ts_device *device;
static const rt_device_ops *ops;

/* The group's: compiles and loads the fake. */
static inline int load_fake(void **state) {
    (void)state;
    char folder[] = "/tmp/tunesmith-fake-XXXXXX", library[64], command[1024];
    if (!mkdtemp(folder)) return 1;
    snprintf(library, sizeof library, "%s/libcuda.so.1", folder);
    snprintf(
        command, sizeof command,
        "cc -std=gnu17 -shared -fPIC -I%s/.. -Wl,-soname,libcuda.so.1 %s/../tests/runtime/fake_cuda.c -o %s",
        TS_TEMPLATES_DIR, TS_TEMPLATES_DIR, library);
    void *handle = system(command) == 0 ? dlopen(library, RTLD_NOW | RTLD_GLOBAL) : NULL;
    fake = handle ? dlsym(handle, "fake") : NULL;
    unlink(library);
    rmdir(folder);
    return !fake;
}

static inline int open_device(void **state) {
    (void)state;
    if (ts_device_open("cuda:1", 0, &device, NULL) != TS_STATUS_OK) return 1;
    ops = device->ops;
    return 0;
}

/* Every test must leave nothing behind. */
static inline int close_device(void **state) {
    (void)state;
    ts_device_close(device);
    return fake->contexts || fake->streams || fake->events || fake->modules || fake->graphs ||
           fake->allocations;
}

#define OK(call) assert_int_equal(call, TS_STATUS_OK)

/* Loads: the fake looks at how code begins. */
static const char good_cubin[64] = "\177ELFgood";

/* Arguments of its kernel `plain`, in the size that the fake writes down. */
struct plain_args {
    void *workspace;
    int32_t m, k;
    unsigned char rest[48];
};

/* How launch data of `plain` begins. */
#define PLAIN_HEAD                                                 \
    "{\"format\":1,\"kind\":\"cuda\",\"args_bytes\":64,\"args\":[" \
    "{\"name\":\"workspace\",\"type\":\"ptr\",\"offset\":0},"      \
    "{\"name\":\"m\",\"type\":\"i32\",\"offset\":8},"              \
    "{\"name\":\"k\",\"type\":\"i32\",\"offset\":12}],"            \
    "\"tensors\":[],\"extents\":[\"m\",\"k\"],"

#endif
