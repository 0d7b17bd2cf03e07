/* Inside of a ts_kernel, for the two files that make and index kernels. */
#ifndef RUNTIME_LOADED_KERNEL_H
#define RUNTIME_LOADED_KERNEL_H

#include "kernel.h"
#include "launch_data.h"

struct ts_kernel {
    ts_device *device;
    rt_module *module;
    void *functions[RT_MAX_STEPS]; /* one a step of `data` */
    char *variant, *launch_text;
    rt_launch_data data;
};

/* rt_kernel_create with the name that ts_kernel_variant returns. */
ts_status rt_kernel_create_named(ts_device *device, const void *blob, size_t blob_bytes,
                                 const char *launch, const char *variant, ts_kernel **out,
                                 ts_err *err);

#endif
