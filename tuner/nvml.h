/* The driver's management library, as far as the tuner asks it: names and layouts are NVML's own.
 *
 * It is opened by hand, like the driver: a container may come without it, and then nothing is known
 * of a card, which is no error. */
#ifndef TUNER_NVML_H
#define TUNER_NVML_H

#include <stdbool.h>

typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct nvmlProcessInfo { /* version 2 and 3 of the query */
    unsigned pid;
    unsigned long long used_bytes;
    unsigned gpu_instance, compute_instance;
} nvmlProcessInfo;
enum { NVML_SUCCESS = 0, NVML_MIG_ENABLED = 1, NVML_CLOCK_SM = 1 };
/* Reasons for a lower clock that are no choice of anybody's: heat, and the board's power supply. The
 * power cap (4) is none of them: large products run at it by design. */
enum { NVML_THROTTLED = 0x08 | 0x20 | 0x40 | 0x80 };

typedef struct tuner_nvml { /* any function may be NULL: an older library */
    void *library;
    nvmlDevice_t device;
    int (*shutdown)(void);
    int (*mig)(nvmlDevice_t device, unsigned *now, unsigned *pending);
    int (*processes)(nvmlDevice_t device, unsigned *count, nvmlProcessInfo *list);
    int (*clock)(nvmlDevice_t device, int type, unsigned *mhz);
    int (*reasons)(nvmlDevice_t device, unsigned long long *reasons);
} tuner_nvml;

/* The card at PCI `bus_id` ("" for the CPU). False: nothing can be found out; *out is zero then.
 * Close with tuner_nvml_close, which takes a zeroed one, too. */
bool tuner_nvml_open(const char *bus_id, tuner_nvml *out);
void tuner_nvml_close(tuner_nvml *nvml);

#endif
