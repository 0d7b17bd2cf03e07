/* Opens libcuda.so.1 and fills the table of its functions, once a process.
 *
 * The result of the first try is kept, good or bad: a driver does not appear while a process runs.
 * The library stays open until the process ends, since contexts of other users of it may outlive
 * our devices.
 */
#include "cuda_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static rt_cuda_driver table;
static ts_err failure; /* status OK: the table is usable */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
    const char *name;
    size_t offset; /* of its pointer in the table */
    bool needed;
} symbols[] = {
#define NEEDED(symbol, parameters) {#symbol, offsetof(rt_cuda_driver, symbol), true},
#define NEWER(symbol, parameters) {#symbol, offsetof(rt_cuda_driver, symbol), false},
    RT_CUDA_FUNCTIONS(NEEDED) RT_CUDA_NEWER_FUNCTIONS(NEWER)
#undef NEEDED
#undef NEWER
};

static ts_status fill_table(void *library, ts_err *err) {
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (!address && symbols[i].needed)
            return ts_fail(err, TS_STATUS_NO_DEVICE,
                           "the NVIDIA driver lacks %s: it is too old, update it", symbols[i].name);
        memcpy((char *)&table + symbols[i].offset, &address, sizeof address);
    }
    return TS_STATUS_OK;
}

static void open_driver(void) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        ts_fail(&failure, TS_STATUS_NO_DEVICE, "no NVIDIA driver: %s", dlerror());
        return;
    }
    if (fill_table(library, &failure) != TS_STATUS_OK) return;
    CUresult result = table.cuInit(0);
    if (result == CUDA_SUCCESS) return;
    const char *text = NULL;
    table.cuGetErrorString(result, &text);
    ts_fail(&failure, TS_STATUS_NO_DEVICE, "the NVIDIA driver finds no usable GPU: %s",
            text ? text : "cuInit failed");
}

ts_status rt_cuda_driver_get(const rt_cuda_driver **out, ts_err *err) {
    pthread_once(&once, open_driver);
    if (failure.status != TS_STATUS_OK) return ts_fail(err, failure.status, "%s", failure.message);
    *out = &table;
    return TS_STATUS_OK;
}

ts_status rt_cuda_check(const rt_cuda_driver *driver, CUresult result, const char *call,
                        const char *object, ts_err *err) {
    if (result == CUDA_SUCCESS) return TS_STATUS_OK;
    const char *name = NULL, *text = NULL;
    driver->cuGetErrorName(result, &name);
    driver->cuGetErrorString(result, &text);
    return ts_fail(err,
                   result == CUDA_ERROR_OUT_OF_MEMORY ? TS_STATUS_OUT_OF_MEMORY : TS_STATUS_DEVICE,
                   "%s failed on %.800s: %s (%s)", call, object, text ? text : "unknown error",
                   name ? name : "unknown");
}
