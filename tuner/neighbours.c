/* What the management library knows of others on the card, as one line for the user. */
#include "neighbours.h"

#include <stdio.h>

#include "nvml.h"

enum { MAX_PROCESSES = 64 };

static void look(const tuner_nvml *n, char *notice, size_t bytes) {
    nvmlProcessInfo list[MAX_PROCESSES];
    unsigned mig = 0, pending, count = MAX_PROCESSES;
    if (n->mig && n->mig(n->device, &mig, &pending) == NVML_SUCCESS && mig == NVML_MIG_ENABLED) {
        snprintf(notice, bytes,
                 "note: the card is split by MIG; winners are right for this slice of it only");
        return;
    }
    /* We are one of them. By number rather than by process id, which is another one in a container. */
    if (!n->processes || n->processes(n->device, &count, list) != NVML_SUCCESS || count <= 1)
        return;
    snprintf(notice, bytes,
             "note: %u other process%s on this card; times will scatter, and the winners with them",
             count - 1, count == 2 ? " is" : "es are");
}

void tuner_neighbours(const char *bus_id, char *notice, size_t bytes) {
    tuner_nvml n;
    notice[0] = '\0';
    if (!tuner_nvml_open(bus_id, &n)) return;
    look(&n, notice, bytes);
    tuner_nvml_close(&n);
}
