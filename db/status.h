/* Status codes and the error record of every fallible Tunesmith function.
 *
 * A fallible function returns ts_status and takes `ts_err *err` last. `err` may be NULL; on failure it
 * receives a message that says what failed, on which object, and the next step. Outputs are set only on
 * success. Nothing in an error needs freeing.
 *
 * This block is pasted into the installed tunesmith_kernels.h (see Makefile), so there is one copy of it.
 */
#ifndef TS_STATUS_H
#define TS_STATUS_H

#define TS_STATUS_MAP(X)                    \
    X(OK, "ok")                             \
    X(INVALID_ARGUMENT, "invalid argument") \
    X(NOT_FOUND, "not found")               \
    X(IO, "input/output error")             \
    X(CORRUPT, "data failed its check")     \
    X(UNSUPPORTED, "not supported")         \
    X(OUT_OF_MEMORY, "out of memory")       \
    X(NO_DEVICE, "no such device")          \
    X(DEVICE, "device error")               \
    X(COMPILE, "compile error")             \
    X(TEMPLATE, "template error")           \
    X(CANCELLED, "cancelled")

typedef enum ts_status {
#define TS_STATUS_ENUM(name, text) TS_STATUS_##name,
    TS_STATUS_MAP(TS_STATUS_ENUM)
#undef TS_STATUS_ENUM
} ts_status;

typedef struct ts_err {
    ts_status status;
    char message[1024];
} ts_err;

#endif
