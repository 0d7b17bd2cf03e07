/* Who else may disturb the times: other processes on the card, or a card split by MIG. */
#ifndef TUNER_NEIGHBOURS_H
#define TUNER_NEIGHBOURS_H

#include <stddef.h>

/* Asks the driver's management library about the card at PCI `bus_id` ("" for the CPU), which the
 * calling process has opened. `notice` receives one line for the user, or "" if nothing disturbs or
 * nothing can be found out (no such library, a container that hides it). */
void tuner_neighbours(const char *bus_id, char *notice, size_t bytes);

#endif
