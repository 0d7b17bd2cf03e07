/* What the tuner prints on standard output: results and winners, as a table or as JSON lines. */
#ifndef TUNER_REPORT_H
#define TUNER_REPORT_H

#include "../db/store.h"
#include "lab.h"

/* {"problem","variant","status","reason","time_us"} */
void tuner_report_result(const tuner_candidate *candidate);
/* A compiled variant and its place among those of its specialization. */
typedef struct tuner_listed {
    tuner_candidate *candidate;
    double estimate_us; /* of the static model; INFINITY: none */
    size_t rank;        /* from 1; 0: not ranked */
} tuner_listed;
/* {"family","variant","target","status","reason","registers","spill_bytes","shared_bytes","spec",
 * "estimate_us","rank"} */
void tuner_report_listed(const tuner_listed *listed, bool json);
/* {"problem","variant","time_us","default_us","speedup","ci_low_us","ci_high_us"} */
void tuner_report_winner(const db_winner *winner);

/* The table of winners. `copy_gbytes`: measured copy bandwidth of the device in GB/s, 0 if unknown.
 */
void tuner_report_table(const db_winner *winners, size_t count, double copy_gbytes);

#endif
