/* What the tuner prints on standard output: results and winners, as a table or as JSON lines. */
#ifndef TUNER_REPORT_H
#define TUNER_REPORT_H

#include "../db/store.h"
#include "lab.h"

/* {"problem","variant","status","reason","time_us"} */
void tuner_report_result(const tuner_candidate *candidate);
/* {"family","variant","target","status","reason","registers","spill_bytes","shared_bytes"} */
void tuner_report_compiled(const tuner_candidate *candidate, bool json);
/* {"problem","variant","time_us","default_us","speedup","ci_low_us","ci_high_us"} */
void tuner_report_winner(const db_winner *winner);

/* The table of winners. `copy_gbytes`: measured copy bandwidth of the device in GB/s, 0 if unknown.
 */
void tuner_report_table(const db_winner *winners, size_t count, double copy_gbytes);

#endif
