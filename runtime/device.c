/* Device names to devices, and the library's few facts about itself.
 *
 * "auto" decides by what the driver reports, without opening anything: where a GPU is there but
 * cannot be opened, the caller gets the GPU's error and not a silent CPU. What a device does is in
 * the table of functions that device_cpu.c and device_cuda.c fill; nothing here asks which it is.
 */
#include "device.h"

#include <stdlib.h>
#include <string.h>

/* "cuda", "cuda:2", "cuda:GPU-8f6a...", "cuda:sm_86" */
static ts_status open_cuda(const char *name, ts_device **out, ts_err *err) {
    const char *which = name + strlen("cuda");
    int ordinal = 0;
    if (*which == ':') {
        char *end = NULL;
        long number = strtol(which + 1, &end, 10);
        if (end != which + 1 && *end == '\0' && number >= 0 && number < 4096)
            ordinal = (int)number;
        else if (strncmp(which + 1, "sm_", 3) == 0)
            TS_TRY(rt_cuda_find_target(which + 1, &ordinal, err));
        else
            TS_TRY(rt_cuda_find(which + 1, &ordinal, err));
    }
    return rt_cuda_open(ordinal, out, err);
}

ts_status ts_device_open(const char *name, int threads, ts_device **out, ts_err *err) {
    if (strcmp(name, "auto") == 0) name = rt_cuda_count() > 0 ? "cuda" : "cpu";
    if (strcmp(name, "cpu") == 0) return rt_cpu_open(threads, out, err);
    if (strcmp(name, "cuda") == 0 || strncmp(name, "cuda:", 5) == 0)
        return open_cuda(name, out, err);
    return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                   "device '%.64s': give auto, cpu, cuda, cuda:N, cuda:UUID or cuda:TARGET", name);
}

void ts_device_close(ts_device *device) {
    if (device) device->ops->close(device);
}

const char *ts_device_name(const ts_device *device) { return device->info.name; }

const char *ts_device_target(const ts_device *device) { return device->info.target; }

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *ts_version(void) {
    return TEXT(TS_VERSION_MAJOR) "." TEXT(TS_VERSION_MINOR) "." TEXT(TS_VERSION_PATCH);
}

const char *ts_status_name(ts_status status) { return ts_status_text(status); }
