/* What a device can do at best: the limits that a profile compares launches with. */
#ifndef RUNTIME_PEAK_H
#define RUNTIME_PEAK_H

#include "device.h"

typedef struct rt_peaks {
    double gflops; /* 1e9 floating-point operations a second; a multiply-add is two */
    double gbytes; /* 1e9 bytes a second, read plus written */
} rt_peaks;

/* `halves`: operands of 16 bits. Bytes are measured (copy_speed.h says what that takes), and so are
 * the FLOPs of a CPU, for some hundredths of a second on all its threads; those of a GPU follow from
 * its SMs and clock. UNSUPPORTED: a GPU of an unknown kind. */
ts_status rt_peaks_find(ts_device *device, bool halves, rt_peaks *out, ts_err *err);

#endif
