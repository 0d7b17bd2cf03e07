/* The kernel's own estimate in /proc/meminfo. */
#include "host_memory.h"

#include <stdio.h>
#include <unistd.h>

enum { CHECKED_FROM = 64 << 20 }; /* reading the file costs some microseconds */

int64_t rt_host_free_bytes(void) {
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    long long kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1) break;
    if (file) fclose(file);
    return (int64_t)kib << 10;
}

ts_status rt_host_lacks(size_t bytes, const char *object, ts_err *err) {
    int64_t total = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return ts_fail(err, TS_STATUS_OUT_OF_MEMORY,
                   "no memory for %zu bytes on %s: %lld of %lld MiB are free", bytes, object,
                   (long long)(rt_host_free_bytes() >> 20), (long long)(total >> 20));
}

ts_status rt_host_has(size_t bytes, const char *object, ts_err *err) {
    int64_t unused = bytes >= CHECKED_FROM ? rt_host_free_bytes() : 0;
    return unused > 0 && bytes > (size_t)unused ? rt_host_lacks(bytes, object, err) : TS_STATUS_OK;
}
