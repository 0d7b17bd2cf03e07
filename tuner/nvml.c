/* Opening the management library and finding the card in it. */
#include "nvml.h"

#include <dlfcn.h>
#include <string.h>

static bool find_device(void *library, const char *bus_id, nvmlDevice_t *device) {
    int (*find)(const char *, nvmlDevice_t *);
    *(void **)&find = dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2");
    return find && find(bus_id, device) == NVML_SUCCESS;
}

static void load(tuner_nvml *n) {
    const struct {
        const char *name;
        void **slot;
    } functions[] = {
        {"nvmlDeviceGetMigMode", (void **)&n->mig},
        {"nvmlDeviceGetComputeRunningProcesses_v3", (void **)&n->processes},
        {"nvmlDeviceGetClockInfo", (void **)&n->clock},
        {"nvmlDeviceGetCurrentClocksThrottleReasons", (void **)&n->reasons},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        *functions[i].slot = dlsym(n->library, functions[i].name);
}

bool tuner_nvml_open(const char *bus_id, tuner_nvml *out) {
    memset(out, 0, sizeof *out);
    void *library = bus_id[0] ? dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) return false;
    int (*init)(void);
    tuner_nvml n = {.library = library};
    *(void **)&init = dlsym(library, "nvmlInit_v2");
    *(void **)&n.shutdown = dlsym(library, "nvmlShutdown");
    if (!init || !n.shutdown || init() != NVML_SUCCESS) {
        dlclose(library);
        return false;
    }
    if (!find_device(library, bus_id, &n.device)) {
        tuner_nvml_close(&n);
        return false;
    }
    load(&n);
    *out = n;
    return true;
}

void tuner_nvml_close(tuner_nvml *nvml) {
    if (!nvml->library) return;
    nvml->shutdown();
    dlclose(nvml->library);
    memset(nvml, 0, sizeof *nvml);
}
