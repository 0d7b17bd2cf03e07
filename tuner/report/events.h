/* Events of a tune with --json: lines with the key "event", beside those of results and winners. Each is
 * flushed. Their numbers are the tally's (tuner_tally_json). */
#ifndef TUNER_REPORT_EVENTS_H
#define TUNER_REPORT_EVENTS_H

#include "tally.h"

/* {"event":"start","device","target","compiler", and the tally's keys: what earlier runs left} */
void tuner_event_start(const char *device, const char *target, const char *compiler,
                       const tuner_tally *tally);
/* {"event":"progress","stage","share","eta_s","device_share", and the tally's keys} */
void tuner_event_progress(const char *stage, double share, double left_s, double device_share,
                          const tuner_tally *tally);
/* {"event":"end","status":"ok"|"failed"|"interrupted","measured", and the tally's keys}: `measured`
 * results are of this run. */
void tuner_event_end(const char *status, size_t measured, const tuner_tally *tally);

#endif
