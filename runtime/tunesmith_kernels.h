/* Tunesmith kernels: find a tuned kernel in a database and launch it. For other engines.
 *
 *     ts_device *device;   ts_kernels *kernels;   const ts_kernel *kernel;
 *     ts_device_open("auto", 0, &device, &err);
 *     ts_kernels_open(device, "tunesmith.db", &kernels, &err);
 *     ts_kernel_find(kernels, "gemv n=4096 k=1024 dtype=bf16 out=bf16", &kernel, &err);
 *     struct gemv_args args = { .x = x, .w = w, .out = y, ... };         // templates/gemv/args.h
 *     ts_kernel_launch(kernel, stream, &args, sizeof args, &err);
 *
 * Needs nothing but this library and, for a GPU, the NVIDIA driver. No function prints, exits or
 * aborts. Threads: a ts_device and a ts_kernels may be used from several threads at once. Finding
 * what was found before and launching take no lock and allocate nothing; launches on the CPU queue
 * up for its threads.
 */
#ifndef TUNESMITH_KERNELS_H
#define TUNESMITH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../db/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TS_VERSION_MAJOR 0
#define TS_VERSION_MINOR 1
#define TS_VERSION_PATCH 0

#if defined(__GNUC__)
#define TS_API __attribute__((visibility("default")))
#else
#define TS_API
#endif

/* "0.1.0" of the library in use; static text. */
TS_API const char *ts_version(void);

/* Constant text of a status; never NULL. */
TS_API const char *ts_status_name(ts_status status);

typedef struct ts_device ts_device;   /* a GPU or the CPU's thread pool */
typedef struct ts_kernels ts_kernels; /* an open database, indexed for one device */
typedef struct ts_kernel ts_kernel;   /* one loaded kernel; lives as long as its ts_kernels */

/* Opens "cpu", "cuda", "cuda:1", "cuda:UUID", or "auto" (GPU 0 if there is a driver and a device,
 * else the CPU). `threads`: CPU workers, 0 for one a core; ignored on a GPU. A GPU is opened
 * through its primary context, so memory of CUDA runtime users (PyTorch) can be passed; calls leave
 * that context current in their thread. NO_DEVICE says what was found. */
TS_API ts_status ts_device_open(const char *name, int threads, ts_device **out, ts_err *err);
TS_API void ts_device_close(ts_device *device); /* NULL is allowed; after everything that uses it */
/* "NVIDIA H200" or the CPU's model name; borrowed. */
TS_API const char *ts_device_name(const ts_device *device);
/* The target of this device, "sm_90a" or "cpu-x86-64-v3"; borrowed. */
TS_API const char *ts_device_target(const ts_device *device);

/* Opens the database for this device and loads its index into memory. `path` NULL: TUNESMITH_DB,
 * else the user's data directory over the system's (both are used, the user's first where they are
 * equally good); never the working directory. CORRUPT: not a Tunesmith database, or changed after
 * signing. NOT_FOUND: no file, the message lists where it looked. UNSUPPORTED: not to be trusted: a
 * file of the system's folder or of another user without a signature by a key in
 * ~/.config/tunesmith/keys, /etc/tunesmith/keys or $TUNESMITH_KEYS, or CPU kernels that others can
 * write. Rows that fail their hash or whose abi this library does not know are skipped and reported
 * through ts_kernels_warning. */
TS_API ts_status ts_kernels_open(ts_device *device, const char *path, ts_kernels **out,
                                 ts_err *err);
TS_API void ts_kernels_close(ts_kernels *kernels); /* NULL is allowed */
/* The i-th thing noticed at open or find ("row skipped", "no exact device: using ..."); NULL past
 * the last. */
TS_API const char *ts_kernels_warning(const ts_kernels *kernels, size_t i);

/* Finds the best kernel for a problem ("family field=value ..."; fields in any order), loading it
 * onto the device the first time. Extents that were not tuned take the nearest tuned ones.
 * NOT_FOUND names the missing specialization and the command that adds it. */
TS_API ts_status ts_kernel_find(ts_kernels *kernels, const char *problem, const ts_kernel **out,
                                ts_err *err);
/* "selective_scan/seq threads=128 t=8", borrowed. */
TS_API const char *ts_kernel_variant(const ts_kernel *kernel);
/* Launch data (JSON, templates/README.md): names, types and offsets of the args members; borrowed.
 */
TS_API const char *ts_kernel_launch_data(const ts_kernel *kernel);
/* Bytes that args.workspace must point to for these args; 0 if none. */
TS_API size_t ts_kernel_workspace_bytes(const ts_kernel *kernel, const void *args);
/* Launches on `stream` (a CUstream; NULL is the default stream; on the CPU the call returns when
 * done). `args` is the family's args struct of `args_bytes` (checked). The caller keeps every
 * pointed-to buffer alive until the work is done. INVALID_ARGUMENT: size mismatch or an extent
 * below 0; a launch in which some grid axis is 0 does nothing. UNSUPPORTED: the kernel needs a newer
 * driver, which the message names. */
TS_API ts_status ts_kernel_launch(const ts_kernel *kernel, void *stream, const void *args,
                                  size_t args_bytes, ts_err *err);

#ifdef __cplusplus
}
#endif
#endif
