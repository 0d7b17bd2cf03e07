/* The lookup ladder, and the choice among the kernels of one rung.
 *
 * Candidates of a group are sorted when the database is opened: chosen on this device, chosen on
 * another device of the same target (the nearest SM count wins), predicted, an older target, the
 * stored default. Chosen means measured; a winner whose code has changed since stands beside those
 * that were measured, because the extents it was best for would else be left to winners of others.
 * A rung is what ties in that order. The first find loads rungs from the top until
 * one holds a kernel that loads; the entries of that rung then serve every launch, nearest extents
 * first, with no lock.
 */
#include "group.h"

#include <math.h>
#include <string.h>

/* ---- ranking ---- */

/* Place of `target` in the device's list, best first; -1 if it cannot load it. */
static int target_index(const ts_device *device, const char *target) {
    for (int i = 0; device->targets[i]; i++)
        if (strcmp(device->targets[i], target) == 0) return i;
    return -1;
}

bool rt_candidate_rank(const ts_device *device, rt_candidate *candidate) {
    const db_winner *winner = candidate->winner;
    int index = target_index(device, candidate->kernel->target);
    if (index < 0) return false;
    bool of_device = winner && *winner->device.name;
    if (!winner) {
        candidate->tier = RT_TIER_DEFAULT;
        candidate->distance = index;
    } else if (index > 0) {
        candidate->tier = RT_TIER_OLDER;
        candidate->distance = 2 * index + !of_device;
    } else if (!of_device) {
        candidate->tier = RT_TIER_PREDICTED;
        candidate->distance = 0;
    } else {
        bool exact = strcmp(winner->device.name, device->info.name) == 0;
        int64_t more = (int64_t)winner->device.sm_count - device->info.sm_count;
        candidate->tier = exact ? RT_TIER_EXACT : RT_TIER_NEAREST;
        candidate->distance = exact ? 0 : more < 0 ? -more : more;
    }
    return true;
}

static const char *device_of(const rt_candidate *candidate) {
    return candidate->winner ? candidate->winner->device.name : "";
}

static int compare_rungs(const rt_candidate *a, const rt_candidate *b) {
    if (a->tier != b->tier) return a->tier < b->tier ? -1 : 1;
    if (a->distance != b->distance) return a->distance < b->distance ? -1 : 1;
    return strcmp(device_of(a), device_of(b)); /* two devices are never mixed */
}

int rt_candidate_compare(const void *a, const void *b) {
    const rt_candidate *x = a, *y = b;
    int order = rt_problem_compare(&x->spec, &y->spec);
    if (order == 0) order = compare_rungs(x, y);
    if (order == 0 && x->winner && y->winner)
        order = strcmp(x->winner->problem, y->winner->problem);
    if (order == 0) order = (x->layer > y->layer) - (x->layer < y->layer);
    return order ? order : (x->kernel->id > y->kernel->id) - (x->kernel->id < y->kernel->id);
}

/* ---- loading ---- */

/* Extents of the winner's problem as logarithms, in the kernel's order. */
static ts_status read_tuned_extents(const rt_candidate *candidate, const rt_launch_data *data,
                                    ts_arena *arena, const float **out, ts_err *err) {
    if (!candidate->winner) return *out = NULL, TS_STATUS_OK;
    rt_problem problem;
    TS_TRY(rt_problem_parse(candidate->winner->problem, &problem, err));
    float *logs = ts_arena_alloc(arena, RT_MAX_EXTENTS * sizeof *logs);
    if (!logs) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for the kernel index");
    for (size_t i = 0; i < data->extent_count; i++) {
        const char *name = data->extents[i].name;
        const rt_slice *value = rt_problem_value(&problem, (rt_slice){name, strlen(name)});
        int64_t extent;
        if (!value || !rt_slice_number(*value, &extent))
            return ts_fail(err, TS_STATUS_CORRUPT, "problem '%.200s' does not say %s",
                           candidate->winner->problem, name);
        logs[i] = log2f((float)(extent > 1 ? extent : 1));
    }
    *out = logs;
    return TS_STATUS_OK;
}

static ts_status load_entry(const rt_candidate *candidate, const rt_group *group,
                            const rt_group_source *source, rt_entry *out, ts_err *err) {
    /* Kernels of one group take the same struct. Another abi can only stand here for a family that
     * this library does not know; the best rung decides then. */
    if (strcmp(candidate->kernel->abi, group->candidates[0].kernel->abi) != 0)
        return ts_fail(err, TS_STATUS_CORRUPT,
                       "made for another args struct than the group's first kernel");
    TS_TRY(source->load(source->context, candidate, &out->kernel, err));
    return read_tuned_extents(candidate, &out->kernel->data, source->arena, &out->log2_extents,
                              err);
}

/* Loads candidates [begin, end) into entries; *failure keeps the last reason. */
static size_t load_rung(const rt_group *group, size_t begin, size_t end,
                        const rt_group_source *source, rt_entry *entries, ts_err *failure) {
    size_t count = 0;
    for (size_t i = begin; i < end; i++) {
        const rt_candidate *candidate = &group->candidates[i];
        rt_entry entry;
        if (load_entry(candidate, group, source, &entry, failure) == TS_STATUS_OK) {
            entries[count++] = entry;
            continue;
        }
        source->warn(source->context, "%s (%s) skipped: %s", candidate->kernel->variant,
                     candidate->kernel->target, failure->message);
    }
    return count;
}

static bool is_measured(const rt_candidate *candidate) {
    return candidate->winner && strcmp(candidate->winner->evidence, "measured") == 0;
}

/* Winners whose code is not what was measured. */
static void report_changed(const rt_candidate *first, const rt_candidate *end,
                           const rt_group_source *source) {
    size_t changed = 0, count = (size_t)(end - first);
    const char *verdict = NULL;
    if (first->tier > RT_TIER_NEAREST) return;
    for (const rt_candidate *c = first; c < end; c++) {
        if (is_measured(c)) continue;
        changed++;
        verdict = c->winner->verdict;
    }
    if (changed)
        source->warn(source->context,
                     "%s %s: %zu of %zu winners are not what was measured on %s (%.80s); run tune "
                     "on this machine",
                     first->kernel->family, first->kernel->spec, changed, count,
                     first->winner->device.name, verdict);
}

/* Tells what the user should know about the rung in use; nothing where it is the best one. */
static void report_step(const rt_candidate *chosen, const rt_group_source *source) {
    const rt_device_info *device = &source->device->info;
    const db_kernel *k = chosen->kernel;
    switch (chosen->tier) {
    case RT_TIER_EXACT: break;
    case RT_TIER_NEAREST:
        source->warn(source->context, "%s %s: not tuned on %s, using what was tuned on %s",
                     k->family, k->spec, device->name, chosen->winner->device.name);
        break;
    case RT_TIER_PREDICTED:
        source->warn(source->context,
                     "%s %s: predicted for %s, never measured; run tune on this machine", k->family,
                     k->spec, device->target);
        break;
    case RT_TIER_OLDER:
        source->warn(source->context,
                     "%s %s: untuned on %s, using a kernel of %s; run tune on this machine",
                     k->family, k->spec, device->target, k->target);
        break;
    case RT_TIER_DEFAULT:
        source->warn(source->context,
                     "%s %s: untuned, using the default %s (%s); run tune on this machine",
                     k->family, k->spec, k->variant, k->target);
        break;
    }
}

ts_status rt_group_load(rt_group *group, const rt_group_source *source, ts_err *err) {
    ts_err failure = {.status = TS_STATUS_NOT_FOUND};
    rt_entry *entries = ts_arena_alloc(source->arena, group->candidate_count * sizeof *entries);
    if (!entries) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for the kernel index");
    for (size_t begin = 0, end; begin < group->candidate_count; begin = end) {
        const rt_candidate *first = &group->candidates[begin];
        for (end = begin + 1; end < group->candidate_count; end++)
            if (compare_rungs(first, &group->candidates[end]) != 0) break;
        size_t count = load_rung(group, begin, end, source, entries, &failure);
        if (count == 0) continue;
        report_step(first, source);
        report_changed(first, &group->candidates[end], source);
        group->entries = entries;
        group->entry_count = count;
        atomic_store_explicit(&group->loaded, true, memory_order_release);
        return TS_STATUS_OK;
    }
    return ts_fail(err, failure.status,
                   "%.40s %.200s: none of %zu stored kernels loads; the last says: %.500s",
                   group->candidates[0].kernel->family, group->candidates[0].kernel->spec,
                   group->candidate_count, failure.message);
}

/* ---- choosing ---- */

const ts_kernel *rt_group_nearest(const rt_group *group, const int64_t *extents) {
    size_t count = group->entries[0].kernel->data.extent_count;
    float wanted[RT_MAX_EXTENTS], best_distance = INFINITY;
    const rt_entry *best = &group->entries[0];
    if (group->entry_count == 1) return best->kernel;
    for (size_t i = 0; i < count; i++) wanted[i] = log2f((float)(extents[i] > 1 ? extents[i] : 1));
    for (const rt_entry *e = group->entries; e < group->entries + group->entry_count; e++) {
        float distance = 0;
        for (size_t i = 0; e->log2_extents && i < count; i++)
            distance += fabsf(e->log2_extents[i] - wanted[i]);
        if (distance >= best_distance) continue;
        best_distance = distance;
        best = e;
    }
    return best->kernel;
}

const ts_kernel *rt_group_pick(const rt_group *group, const void *args) {
    const rt_launch_data *data = &group->entries[0].kernel->data;
    int64_t extents[RT_MAX_EXTENTS];
    for (size_t i = 0; i < data->extent_count; i++)
        extents[i] = rt_extent_value(&data->extents[i], args);
    return rt_group_nearest(group, extents);
}

ts_status rt_group_launch(const rt_group *group, void *stream, const void *args, size_t args_bytes,
                          ts_err *err) {
    return ts_kernel_launch(rt_group_pick(group, args), stream, args, args_bytes, err);
}

bool rt_group_work(const rt_group *group, const void *args, const char *bound, int64_t actual,
                   rt_work *out) {
    const rt_launch_data *data = &rt_group_pick(group, args)->data;
    rt_values values;
    int64_t flops, bytes;
    if (!data->has_work || rt_launch_data_values(data, args, 1, &values, NULL) != TS_STATUS_OK)
        return false;
    for (size_t i = 0; bound && i < data->extent_count; i++)
        if (strcmp(data->extents[i].name, bound) == 0 && values.extents[i] > actual)
            values.extents[i] = actual;
    if (rt_formula_eval(data, data->flops, &values, INT64_MAX, "flops", &flops, NULL) ||
        rt_formula_eval(data, data->bytes, &values, INT64_MAX, "bytes", &bytes, NULL))
        return false;
    *out = (rt_work){(double)flops, (double)bytes};
    return true;
}

size_t rt_group_workspace(const rt_group *group, const void *args) {
    size_t most = 0;
    for (size_t i = 0; i < group->entry_count; i++) {
        size_t bytes = ts_kernel_workspace_bytes(group->entries[i].kernel, args);
        if (bytes > most) most = bytes;
    }
    return most;
}
