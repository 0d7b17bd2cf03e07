/* Finds GPUs, says what they are, and opens one. Work on an opened device is device_cuda.c's.
 *
 * Counting and finding make no context but do initialise the driver, which a child forked
 * afterwards cannot use: fork first. Opening retains the primary context, which is shared with
 * every other user of the driver in this process. Which cubins a chip loads is the table below, and
 * nowhere else.
 */
#include "device_cuda.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- targets ---- */

/* Desktop and data-centre chips. Embedded ones (72, 87) load their own cubins but are no base for
 * others. */
static const int released[] = {50, 52, 60, 61, 70, 75, 80, 86, 89, 90, 100, 103, 110, 120, 121};

/* Where the best code needs instructions that exist on this very chip only. */
static const int with_a[] = {90, 100};

int rt_cuda_targets(int cc, char names[RT_CUDA_MAX_TARGETS][16]) {
    int count = 0;
    for (size_t i = 0; i < sizeof with_a / sizeof with_a[0]; i++)
        if (with_a[i] == cc) snprintf(names[count++], sizeof names[0], "sm_%da", cc);
    snprintf(names[count++], sizeof names[0], "sm_%d", cc);
    for (size_t i = sizeof released / sizeof released[0]; i-- > 0 && count < RT_CUDA_MAX_TARGETS;)
        if (released[i] / 10 == cc / 10 && released[i] < cc)
            snprintf(names[count++], sizeof names[0], "sm_%d", released[i]);
    return count;
}

/* ---- identity ---- */

/* "580.159.04": the kernel module tells it in words around the first number with two dots. "" if it
 * does not (some containers hide the file). */
static void read_driver_release(char *out, size_t bytes) {
    char line[512];
    out[0] = '\0';
    FILE *file = fopen("/proc/driver/nvidia/version", "re");
    bool read = file && fgets(line, sizeof line, file);
    if (file) fclose(file);
    if (!read) return;
    for (const char *at = line; *at; at++) {
        size_t length = strspn(at, "0123456789.");
        if (isdigit((unsigned char)*at) && memchr(at, '.', length)) {
            snprintf(out, bytes, "%.*s", (int)length, at);
            return;
        }
        if (length) at += length - 1;
    }
}

static ts_status attribute(const cuda_device *d, CUdevice_attribute which, int *out, ts_err *err) {
    return rt_cuda_check(d->driver, d->driver->cuDeviceGetAttribute(out, which, d->device),
                         "cuDeviceGetAttribute", d->base.info.name, err);
}

static ts_status describe(cuda_device *d, ts_err *err) {
    rt_device_info *info = &d->base.info;
    int major, minor, l2, clock_khz;
    size_t memory;
    TS_TRY(rt_cuda_check(d->driver,
                         d->driver->cuDeviceGetName(info->name, sizeof info->name, d->device),
                         "cuDeviceGetName", "the GPU", err));
    TS_TRY(rt_cuda_check(
        d->driver, d->driver->cuDeviceGetPCIBusId(info->bus_id, sizeof info->bus_id, d->device),
        "cuDeviceGetPCIBusId", info->name, err));
    TS_TRY(rt_cuda_check(d->driver, d->driver->cuDeviceTotalMem_v2(&memory, d->device),
                         "cuDeviceTotalMem", info->name, err));
    TS_TRY(rt_cuda_check(d->driver, d->driver->cuDriverGetVersion(&info->driver_version),
                         "cuDriverGetVersion", info->name, err));
    TS_TRY(attribute(d, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major, err));
    TS_TRY(attribute(d, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor, err));
    TS_TRY(attribute(d, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &info->sm_count, err));
    TS_TRY(attribute(d, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, &clock_khz, err));
    TS_TRY(attribute(d, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, &l2, err));
    TS_TRY(attribute(d, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
                     &d->shared_optin_bytes, err));
    info->memory_bytes = (int64_t)memory;
    info->l2_bytes = l2;
    info->clock_mhz = clock_khz / 1000;
    info->compute_capability = 10 * major + minor;
    read_driver_release(info->driver, sizeof info->driver);
    int count = rt_cuda_targets(info->compute_capability, d->target_names);
    for (int i = 0; i < count; i++) d->base.targets[i] = d->target_names[i];
    snprintf(info->target, sizeof info->target, "%s", d->target_names[0]);
    return TS_STATUS_OK;
}

/* ---- finding and opening ---- */

static ts_status count_devices(const rt_cuda_driver **driver, int *count, ts_err *err) {
    TS_TRY(rt_cuda_driver_get(driver, err));
    TS_TRY(rt_cuda_check(*driver, (*driver)->cuDeviceGetCount(count), "cuDeviceGetCount",
                         "the driver", err));
    if (*count == 0)
        return ts_fail(err, TS_STATUS_NO_DEVICE,
                       "the NVIDIA driver is there but sees no GPU (CUDA_VISIBLE_DEVICES?)");
    return TS_STATUS_OK;
}

int rt_cuda_count(void) {
    const rt_cuda_driver *driver;
    int count = 0;
    return count_devices(&driver, &count, NULL) == TS_STATUS_OK ? count : 0;
}

/* Keeps the hexadecimal digits of "GPU-8f6ad2c1-..." in lower case. */
static void normalize_uuid(const char *text, char out[33]) {
    size_t count = 0;
    if (strncasecmp(text, "GPU-", 4) == 0) text += 4;
    for (; *text && count < 32; text++)
        if (*text != '-') out[count++] = (char)tolower((unsigned char)*text);
    out[count] = '\0';
}

ts_status rt_cuda_find(const char *uuid, int *ordinal, ts_err *err) {
    const rt_cuda_driver *driver;
    int count = 0, found = -1, matches = 0;
    char wanted[33];
    ts_buf seen = {0};
    TS_TRY(count_devices(&driver, &count, err));
    normalize_uuid(uuid, wanted);
    for (int i = 0; i < count; i++) {
        CUdevice device;
        CUuuid id;
        char digits[33];
        if (driver->cuDeviceGet(&device, i) != CUDA_SUCCESS ||
            driver->cuDeviceGetUuid_v2(&id, device) != CUDA_SUCCESS)
            continue;
        for (int b = 0; b < 16; b++)
            snprintf(digits + 2 * b, 3, "%02x", (unsigned char)id.bytes[b]);
        ts_buf_printf(&seen, " GPU-%s", digits);
        if (!wanted[0] || strncmp(digits, wanted, strlen(wanted)) != 0) continue;
        found = i;
        matches++;
    }
    ts_status status = TS_STATUS_OK;
    if (matches == 1)
        *ordinal = found;
    else
        status = ts_fail(err, TS_STATUS_NO_DEVICE, "%d GPUs match '%.80s'; there are:%.700s",
                         matches, uuid, seen.data ? seen.data : " none");
    ts_buf_free(&seen);
    return status;
}

/* How well a card suits a target: 0 its own, more for one it can also load, -1 not at all. */
static int suits(const rt_cuda_driver *driver, int ordinal, const char *target) {
    CUdevice device;
    int major, minor;
    char names[RT_CUDA_MAX_TARGETS][16];
    if (driver->cuDeviceGet(&device, ordinal) != CUDA_SUCCESS ||
        driver->cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                                     device) != CUDA_SUCCESS ||
        driver->cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                                     device) != CUDA_SUCCESS)
        return -1;
    int count = rt_cuda_targets(10 * major + minor, names);
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], target) == 0) return i;
    return -1;
}

ts_status rt_cuda_find_target(const char *target, int *ordinal, ts_err *err) {
    const rt_cuda_driver *driver;
    int count = 0, found = -1, best = -1;
    TS_TRY(count_devices(&driver, &count, err));
    for (int i = 0; i < count; i++) {
        int rank = suits(driver, i, target);
        if (rank < 0 || (found >= 0 && rank >= best)) continue;
        found = i;
        best = rank;
    }
    if (found < 0)
        return ts_fail(err, TS_STATUS_NO_DEVICE, "none of the %d GPUs here runs %.32s kernels",
                       count, target);
    *ordinal = found;
    return TS_STATUS_OK;
}

ts_status rt_cuda_open(int ordinal, ts_device **out, ts_err *err) {
    const rt_cuda_driver *driver;
    int count = 0;
    TS_TRY(count_devices(&driver, &count, err));
    if (ordinal < 0 || ordinal >= count)
        return ts_fail(err, TS_STATUS_NO_DEVICE, "no GPU %d: there are %d, counted from 0", ordinal,
                       count);
    cuda_device *d = calloc(1, sizeof *d);
    if (!d) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a device");
    d->driver = driver;
    d->base.ops = &rt_cuda_ops;
    ts_status status = rt_cuda_check(driver, driver->cuDeviceGet(&d->device, ordinal),
                                     "cuDeviceGet", "the GPU", err);
    if (status == TS_STATUS_OK) status = describe(d, err);
    if (status == TS_STATUS_OK)
        status = rt_cuda_check(driver, driver->cuDevicePrimaryCtxRetain(&d->context, d->device),
                               "cuDevicePrimaryCtxRetain", d->base.info.name, err);
    if (status == TS_STATUS_OK)
        *out = &d->base;
    else
        free(d);
    return status;
}
