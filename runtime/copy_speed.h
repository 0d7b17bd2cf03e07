/* How fast a device copies memory: the limit that kernels and decoding are compared with. */
#ifndef RUNTIME_COPY_SPEED_H
#define RUNTIME_COPY_SPEED_H

#include "device.h"

/* Bytes read plus bytes written in 1e9 a second, measured now. Takes 1 GiB of a GPU's memory while it
 * runs, 128 MiB of the host's for a CPU. */
ts_status rt_copy_speed(ts_device *device, void *stream, double *gbytes, ts_err *err);

#endif
