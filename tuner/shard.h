/* One part of a selection, for tuning on several machines. */
#ifndef TUNER_SHARD_H
#define TUNER_SHARD_H

#include "selection.h"

/* Leaves only the problems of shard `index` (from 1) of `count`, in their order. Every problem belongs to one
 * shard, told by the set of problems alone: neither the order of the picks nor the machine
 * matters. A shard may be left with none. */
ts_status tuner_shard(gen *g, tuner_selection *selection, int index, int count, ts_err *err);

#endif
