#include "events.h"

#include <stdio.h>

/* Takes the reference. */
static void print_event(json_t *event, const tuner_tally *tally) {
    json_t *numbers = tuner_tally_json(tally);
    json_object_update(event, numbers);
    json_decref(numbers);
    json_dumpf(event, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(event);
    putchar('\n');
    fflush(stdout);
}

void tuner_event_start(const char *device, const char *target, const char *compiler,
                       const tuner_tally *tally) {
    print_event(json_pack("{ss ss ss ss}", "event", "start", "device", device, "target", target,
                          "compiler", compiler),
                tally);
}

void tuner_event_progress(const char *stage, double share, double left_s, double device_share,
                          const tuner_tally *tally) {
    print_event(json_pack("{ss ss so so so}", "event", "progress", "stage", stage, "share",
                          tuner_json_number(share), "eta_s", tuner_json_number(left_s),
                          "device_share", tuner_json_number(device_share)),
                tally);
}

void tuner_event_end(const char *status, size_t measured, const tuner_tally *tally) {
    print_event(
        json_pack("{ss ss sI}", "event", "end", "status", status, "measured", (json_int_t)measured),
        tally);
}
