/* Inside of a GPU device, for the file that opens it and the files that work with it. */
#ifndef RUNTIME_DEVICE_CUDA_H
#define RUNTIME_DEVICE_CUDA_H

#include "cuda_driver.h"
#include "device.h"

enum { RT_CUDA_MAX_TARGETS = sizeof((ts_device *)0)->targets / sizeof(char *) - 1 };

typedef struct cuda_device {
    ts_device base;
    const rt_cuda_driver *driver;
    CUdevice device;
    CUcontext context;
    int shared_optin_bytes; /* the most shared memory a block may have, its static part included */
    char target_names[RT_CUDA_MAX_TARGETS][16];
} cuda_device;

extern const rt_device_ops rt_cuda_ops;

/* Checks `d->driver->CALL ARGUMENTS` and returns on failure; `object` is the subject. */
#define CU_TRY(d, call, arguments, object, err) \
    TS_TRY(rt_cuda_check((d)->driver, (d)->driver->call arguments, #call, object, err))

/* The device as its context's user: every operation starts here. */
ts_status rt_cuda_enter(ts_device *device, cuda_device **out, ts_err *err);
/* Around a call that does not wait for captured work, though the driver fears so. */
CUstreamCaptureMode rt_cuda_relax(const cuda_device *d);
void rt_cuda_restore(const cuda_device *d, CUstreamCaptureMode mode);

/* Operations of device_cuda_code.c (device.h). */
ts_status rt_cuda_module_load(ts_device *device, const void *blob, size_t bytes, rt_module **out,
                              ts_err *err);
void rt_cuda_module_unload(ts_device *device, rt_module *module);
ts_status rt_cuda_function(ts_device *device, rt_module *module, const char *entry,
                           size_t shared_bytes, void **out, ts_err *err);
ts_status rt_cuda_tensor_map(ts_device *device, const rt_boxed *matrix, rt_tensor_map *out,
                             ts_err *err);
ts_status rt_cuda_launch(ts_device *device, void *stream, const rt_launch *launch, ts_err *err);

/* Fills `names` with the targets whose cubins a device of compute capability `cc` (89 for 8.9)
 * loads, best first; returns their number. A plain cubin runs on the same major version and not
 * older minor; an `a` cubin on exactly its own. */
int rt_cuda_targets(int cc, char names[RT_CUDA_MAX_TARGETS][16]);

#endif
