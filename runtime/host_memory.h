/* Whether the host has the memory that is wanted. The kernel promises more than there is and ends the
 * program when the promise is used, so malloc's answer says little about large wishes.
 */
#ifndef RUNTIME_HOST_MEMORY_H
#define RUNTIME_HOST_MEMORY_H

#include "../db/base.h"

/* What can be had without swapping: unused pages, and caches that the kernel would drop. 0 where the
 * kernel does not tell. */
int64_t rt_host_free_bytes(void);
/* OUT_OF_MEMORY, with needed and free, if `bytes` are more than that; `object` is what wants them.
 * Small wishes are never refused. */
ts_status rt_host_has(size_t bytes, const char *object, ts_err *err);
/* The same message for an allocation that failed. */
ts_status rt_host_lacks(size_t bytes, const char *object, ts_err *err);

#endif
