/* The management library is opened by hand, like the driver: a container may come without it, and
 * then nothing is known, which is no error. */
#include "neighbours.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The part of NVML that is used, with its names and layouts. */
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct nvmlProcessInfo { /* version 2 and 3 of the query */
    unsigned pid;
    unsigned long long used_bytes;
    unsigned gpu_instance, compute_instance;
} nvmlProcessInfo;
enum { NVML_SUCCESS = 0, NVML_MIG_ENABLED = 1, MAX_PROCESSES = 64 };

typedef struct nvml {
    int (*init)(void);
    int (*shutdown)(void);
    int (*find)(const char *bus_id, nvmlDevice_t *device);
    int (*mig)(nvmlDevice_t device, unsigned *now, unsigned *pending);
    int (*processes)(nvmlDevice_t device, unsigned *count, nvmlProcessInfo *list);
} nvml;

static bool load(void *library, nvml *out) {
    static const char *const names[] = {"nvmlInit_v2", "nvmlShutdown",
                                        "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetMigMode",
                                        "nvmlDeviceGetComputeRunningProcesses_v3"};
    void **slots[] = {(void **)&out->init, (void **)&out->shutdown, (void **)&out->find,
                      (void **)&out->mig, (void **)&out->processes};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!(*slots[i] = dlsym(library, names[i]))) return false;
    return true;
}

static void look(const nvml *n, const char *bus_id, char *notice, size_t bytes) {
    nvmlDevice_t device;
    nvmlProcessInfo list[MAX_PROCESSES];
    unsigned mig = 0, pending, count = MAX_PROCESSES;
    if (n->find(bus_id, &device) != NVML_SUCCESS) return;
    if (n->mig(device, &mig, &pending) == NVML_SUCCESS && mig == NVML_MIG_ENABLED) {
        snprintf(notice, bytes,
                 "note: the card is split by MIG; winners are right for this slice of it only");
        return;
    }
    /* We are one of them. By number rather than by process id, which is another one in a container. */
    if (n->processes(device, &count, list) != NVML_SUCCESS || count <= 1) return;
    snprintf(notice, bytes,
             "note: %u other process%s on this card; times will scatter, and the winners with them",
             count - 1, count == 2 ? " is" : "es are");
}

void tuner_neighbours(const char *bus_id, char *notice, size_t bytes) {
    nvml n;
    notice[0] = '\0';
    void *library = bus_id[0] ? dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) return;
    if (load(library, &n) && n.init() == NVML_SUCCESS) {
        look(&n, bus_id, notice, bytes);
        n.shutdown();
    }
    dlclose(library);
}
