/* A group: all stored kernels of one (family, specialization), and the ladder that says which of
 * them a device uses. kernels.c owns the groups; kernel.h is what callers see of them.
 */
#ifndef RUNTIME_GROUP_H
#define RUNTIME_GROUP_H

#include <stdatomic.h>

#include "loaded_kernel.h"
#include "problem_text.h"

/* A stored kernel as seen from one device. Smaller rungs are better; candidates of one rung are
 * used together, and the entry with the nearest extents is picked among them. */
typedef struct rt_candidate {
    const db_kernel *kernel;
    const db_winner *winner; /* NULL: the stored default of the specialization */
    size_t layer;            /* the owner's, in order of preference */
    rt_problem spec;         /* slices of kernel->family and kernel->spec */
    enum rt_tier {
        RT_TIER_EXACT,     /* measured on a device of this name */
        RT_TIER_NEAREST,   /* measured, same target, another device */
        RT_TIER_PREDICTED, /* same target, never measured */
        RT_TIER_OLDER,     /* an older target that this device can load */
        RT_TIER_DEFAULT,   /* the family's default variant */
    } tier;
    int64_t distance; /* within the tier: SM count, or how much older the target is */
} rt_candidate;

/* A loaded kernel and the extents it was chosen for. */
typedef struct rt_entry {
    const ts_kernel *kernel;
    const float *log2_extents; /* in launch data order; NULL for a default: as near as any */
} rt_entry;

struct rt_group {
    const rt_candidate *candidates; /* best rung first */
    size_t candidate_count;
    atomic_bool loaded; /* set once; what follows is constant from then on */
    const rt_entry *entries;
    size_t entry_count;
};

/* How a group gets its kernels and says what it noticed: the owner's, called with the owner's lock
 * held. */
typedef struct rt_group_source {
    ts_device *device;
    ts_arena *arena; /* entries live here */
    void *context;
    ts_status (*load)(void *context, const rt_candidate *candidate, const ts_kernel **out,
                      ts_err *err);
    void (*warn)(void *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
} rt_group_source;

/* Sets tier and distance of a candidate for `device`; false if the device cannot load its target.
 */
bool rt_candidate_rank(const ts_device *device, rt_candidate *candidate);
/* Order of the index: specialization, rung, problem text, layer; so equal files give equal picks,
 * and of two layers that know a problem the first is picked. */
int rt_candidate_compare(const void *a, const void *b);

/* Loads the best rung that has a kernel which loads; every step down is reported once. */
ts_status rt_group_load(rt_group *group, const rt_group_source *source, ts_err *err);
/* The entry nearest to extents in launch data order. */
const ts_kernel *rt_group_nearest(const rt_group *group, const int64_t *extents);

#endif
