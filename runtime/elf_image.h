/* Loader for CPU kernels: a self-contained ELF shared object, mapped from memory. */
#ifndef RUNTIME_ELF_IMAGE_H
#define RUNTIME_ELF_IMAGE_H

#include "../db/base.h"

/* The contract with whoever compiles kernels: arguments of gcc or clang (beside -O3 and the
 * target's -march) that make an object with nothing left to link. -z defs turns an undefined symbol
 * into a link error with a readable message; -Bsymbolic lets calls inside the object go direct; the
 * sysv hash tells the number of symbols; noseparate-code keeps the file small. A table of pointers
 * would need relocations and is refused: index a table of offsets instead. */
// clang-format off
#define RT_IMAGE_CC_FLAGS                                                                         \
    "-ffreestanding", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-stack-protector",  \
    "-fno-asynchronous-unwind-tables", "-shared", "-nostdlib", "-s", "-Wl,-Bsymbolic",            \
    "-Wl,-z,defs", "-Wl,-z,text", "-Wl,-z,noseparate-code", "-Wl,--hash-style=sysv",              \
    "-Wl,--build-id=none"
// clang-format on

typedef struct rt_image rt_image;

/* Maps the `bytes` of `blob` (not kept). CORRUPT: not a well-formed object for this machine, or one
 * that needs what this loader refuses (relocations, undefined symbols, other libraries,
 * initialisers, thread-local data, memory both writable and executable); the message says which.
 * Never reads outside the blob. */
ts_status rt_image_load(const void *blob, size_t bytes, rt_image **out, ts_err *err);
void rt_image_unload(rt_image *image); /* NULL is allowed; nothing of it may still run */

/* Address of the exported function `name`, NULL if there is none. */
void *rt_image_function(const rt_image *image, const char *name);

#endif
