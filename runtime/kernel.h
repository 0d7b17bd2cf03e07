/* Kernels of one device: index over a database image, launch data evaluated, nearest-extent choice.
 *
 * A group is all kernels of one (family, specialization). A model resolves its groups once at load;
 * each launch then picks the entry with the nearest tuned extents, reading the extents from the
 * args struct.
 */
#ifndef RUNTIME_KERNEL_H
#define RUNTIME_KERNEL_H

#include "device.h"
#include "../db/store.h"

typedef struct rt_group rt_group;

/* Group of "family" and specialization text (fields in any order, "n=16 dtype=bf16"), its kernels
 * loaded onto the device. NOT_FOUND names the specialization and the command that adds it. Takes a
 * lock. */
ts_status rt_group_find(ts_kernels *kernels, const char *family, const char *spec,
                        const rt_group **out, ts_err *err);
/* The entry whose tuned extents are nearest (sum of |log2 ratio|) to those in `args`. No lock, no
 * allocation. Never NULL for a group that was found. */
const ts_kernel *rt_group_pick(const rt_group *group, const void *args);
/* pick + launch. */
ts_status rt_group_launch(const rt_group *group, void *stream, const void *args, size_t args_bytes,
                          ts_err *err);
/* What a launch with these args does, by its family's count. Extent `bound` (NULL: none), of which
 * args hold only an upper bound, counts as `actual` where that is less. False: the database does not
 * say, or the numbers overflow. */
typedef struct rt_work {
    double flops, bytes;
} rt_work;
bool rt_group_work(const rt_group *group, const void *args, const char *bound, int64_t actual,
                   rt_work *out);
/* Largest workspace any entry of the group wants for these args. */
size_t rt_group_workspace(const rt_group *group, const void *args);

/* A kernel from parts that are not in a database yet: the tuner's candidates, timed through the
 * same launch path. `launch` is launch data JSON. Errors: CORRUPT launch data, DEVICE load failure.
 */
ts_status rt_kernel_create(ts_device *device, const void *blob, size_t blob_bytes,
                           const char *launch, ts_kernel **out, ts_err *err);
void rt_kernel_destroy(ts_kernel *kernel);

/* ABI table of the families this library was built with (generated: build/generated/abi.c). Rows of
 * other families load too (their args come from the caller); rows of these families with another
 * hash do not. */
typedef struct rt_abi {
    const char *family, *hash;
} rt_abi;
extern const rt_abi rt_abi_table[]; /* ends with {NULL, NULL} */

#endif
