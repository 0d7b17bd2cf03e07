/* Inside of a GPU device, for the file that opens it and the file that works with it. */
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

/* Fills `names` with the targets whose cubins a device of compute capability `cc` (89 for 8.9)
 * loads, best first; returns their number. A plain cubin runs on the same major version and not
 * older minor; an `a` cubin on exactly its own. */
int rt_cuda_targets(int cc, char names[RT_CUDA_MAX_TARGETS][16]);

#endif
