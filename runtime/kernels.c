/* ts_kernels: a database in memory, indexed for one device, and the public calls that search it.
 *
 * Opening reads the whole file into an image (db/read.c), drops what this library or device cannot
 * use, and sorts the rest into groups, one a specialization. A group's kernels are loaded by the
 * first find, under a lock; `loaded` is published last, so every later find only reads. Warnings
 * are appended under the same lock and published by their count. What is chosen in a group is
 * group.c's.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database_file.h"
#include "group.h"
#include "lookup_memo.h"

enum { MAX_WARNINGS = 256 };

/* One database file. */
typedef struct rt_layer {
    rt_place place;
    db_image image;
    ts_kernel **loaded; /* one a kernel of the image; NULL until a find wants it */
} rt_layer;

struct ts_kernels {
    ts_device *device;
    rt_layer layers[RT_LAYERS]; /* the user's before the system's */
    size_t layer_count;
    const char *path;         /* of the first layer */
    rt_candidate *candidates; /* sorted; groups point into it */
    rt_group *groups;         /* sorted by specialization */
    size_t group_count;
    rt_memo memo; /* of problem texts */

    pthread_mutex_t lock; /* loading, the arena, appending warnings, adding to the memo */
    ts_arena arena;
    const char *warnings[MAX_WARNINGS];
    atomic_size_t warning_count;
};

/* ---- warnings ---- */

/* The last place says that there were more. Out of memory loses a warning, nothing else. */
__attribute__((format(printf, 2, 3))) static void warn(void *context, const char *format, ...) {
    ts_kernels *kernels = context;
    size_t count = atomic_load_explicit(&kernels->warning_count, memory_order_relaxed);
    if (count == MAX_WARNINGS) return;
    char message[sizeof((ts_err *)0)->message];
    va_list words;
    va_start(words, format);
    vsnprintf(message, sizeof message, format, words);
    va_end(words);
    const char *text = count == MAX_WARNINGS - 1 ? "further warnings are left out"
                                                 : ts_arena_strdup(&kernels->arena, message);
    if (!text) return;
    kernels->warnings[count] = text;
    atomic_store_explicit(&kernels->warning_count, count + 1, memory_order_release);
}

const char *ts_kernels_warning(const ts_kernels *kernels, size_t i) {
    return i < atomic_load_explicit(&kernels->warning_count, memory_order_acquire)
               ? kernels->warnings[i]
               : NULL;
}

/* ---- opening ---- */

/* A system file that cannot be used is no reason to refuse the user's own. */
static ts_status load_layers(ts_kernels *kernels, const char *path, ts_err *err) {
    const ts_device *device = kernels->device;
    rt_place places[RT_LAYERS];
    size_t count = 0;
    TS_TRY(rt_database_find(path, places, &count, err));
    for (size_t i = 0; i < count; i++) {
        rt_layer *layer = &kernels->layers[kernels->layer_count];
        ts_err why = {0};
        layer->place = places[i];
        ts_status status = rt_database_load(&places[i], device->info.is_cpu, device->targets,
                                            &layer->image, &why);
        if (status == TS_STATUS_OK)
            kernels->layer_count++;
        else if (i == 0)
            return ts_fail(err, status, "%s", why.message);
        else
            warn(kernels, "left out: %s", why.message);
    }
    kernels->path = kernels->layers[0].place.path;
    return TS_STATUS_OK;
}

/* The family's row of the table of this library, NULL for a family of somebody else. */
static const rt_abi *find_abi(const char *family) {
    for (const rt_abi *row = rt_abi_table; row->family; row++)
        if (strcmp(row->family, family) == 0) return row;
    return NULL;
}

static bool known_abi(const db_kernel *kernel) {
    const rt_abi *row = find_abi(kernel->family);
    return !row || strcmp(row->hash, kernel->abi) == 0;
}

static void report_foreign_abis(ts_kernels *kernels, const rt_layer *layer) {
    for (const rt_abi *row = rt_abi_table; row->family; row++) {
        size_t count = 0;
        for (size_t i = 0; i < layer->image.kernel_count; i++) {
            const db_kernel *kernel = &layer->image.kernels[i];
            count += strcmp(kernel->family, row->family) == 0 &&
                     strcmp(kernel->abi, row->hash) != 0;
        }
        if (count)
            warn(kernels,
                 "%s: %zu kernels of %s skipped: made for other arguments than ours; tune again",
                 layer->place.path, count, row->family);
    }
}

/* Adds a candidate if this library and device can use it. A specialization text that cannot be
 * parsed passed its hash, so its writer was at fault: said, and skipped. */
static void add_candidate(ts_kernels *kernels, size_t layer, const db_kernel *kernel,
                          const db_winner *winner, size_t *count) {
    rt_candidate *candidate = &kernels->candidates[*count];
    *candidate = (rt_candidate){.kernel = kernel, .winner = winner, .layer = layer};
    ts_err why;
    if (!known_abi(kernel)) return;
    if (rt_spec_parse(kernel->family, kernel->spec, &candidate->spec, &why) != TS_STATUS_OK) {
        warn(kernels, "%s: %s skipped: %s", kernels->layers[layer].place.path, kernel->variant,
             why.message);
        return;
    }
    if (rt_candidate_rank(kernels->device, candidate)) (*count)++;
}

static void add_layer(ts_kernels *kernels, size_t layer, size_t *count) {
    const db_image *image = &kernels->layers[layer].image;
    for (size_t i = 0; i < image->winner_count; i++)
        add_candidate(kernels, layer, image->winners[i].kernel, &image->winners[i].winner, count);
    for (size_t i = 0; i < image->kernel_count; i++)
        if (image->kernels[i].is_default)
            add_candidate(kernels, layer, &image->kernels[i], NULL, count);
}

static ts_status build_groups(ts_kernels *kernels, ts_err *err) {
    size_t most = 0, count = 0;
    bool have_memory = true;
    for (size_t i = 0; i < kernels->layer_count; i++) {
        rt_layer *layer = &kernels->layers[i];
        most += layer->image.winner_count + layer->image.kernel_count;
        layer->loaded = calloc(layer->image.kernel_count + 1, sizeof *layer->loaded);
        have_memory = have_memory && layer->loaded;
    }
    kernels->candidates = calloc(most + 1, sizeof *kernels->candidates);
    kernels->groups = calloc(most + 1, sizeof *kernels->groups);
    if (!kernels->candidates || !kernels->groups || !have_memory)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for the index of %s",
                       kernels->path);
    for (size_t i = 0; i < kernels->layer_count; i++) add_layer(kernels, i, &count);
    qsort(kernels->candidates, count, sizeof *kernels->candidates, rt_candidate_compare);
    for (size_t i = 0; i < count; i++) {
        rt_candidate *candidate = &kernels->candidates[i];
        if (i == 0 || rt_problem_compare(&candidate[-1].spec, &candidate->spec) != 0)
            kernels->groups[kernels->group_count++].candidates = candidate;
        kernels->groups[kernels->group_count - 1].candidate_count++;
    }
    return TS_STATUS_OK;
}

ts_status ts_kernels_open(ts_device *device, const char *path, ts_kernels **out, ts_err *err) {
    ts_kernels *kernels = calloc(1, sizeof *kernels);
    if (!kernels) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "no memory for a kernel index");
    kernels->device = device;
    pthread_mutex_init(&kernels->lock, NULL);
    ts_status status = load_layers(kernels, path, err);
    if (status == TS_STATUS_OK) status = build_groups(kernels, err);
    if (status != TS_STATUS_OK) {
        ts_kernels_close(kernels);
        return status;
    }
    for (size_t i = 0; i < kernels->layer_count; i++) {
        const rt_layer *layer = &kernels->layers[i];
        for (size_t k = 0; k < layer->image.warning_count; k++)
            warn(kernels, "%s", layer->image.warnings[k]);
        report_foreign_abis(kernels, layer);
    }
    *out = kernels;
    return TS_STATUS_OK;
}

static void close_layer(rt_layer *layer) {
    for (size_t i = 0; layer->loaded && i < layer->image.kernel_count; i++)
        rt_kernel_destroy(layer->loaded[i]);
    free(layer->loaded);
    db_image_free(&layer->image);
}

void ts_kernels_close(ts_kernels *kernels) {
    if (!kernels) return;
    for (size_t i = 0; i < RT_LAYERS; i++) close_layer(&kernels->layers[i]);
    free(kernels->candidates);
    free(kernels->groups);
    ts_arena_free(&kernels->arena);
    pthread_mutex_destroy(&kernels->lock);
    free(kernels);
}

/* ---- loading ---- */

/* Loads a kernel of the image once; several winners may share it. The lock is held. */
static ts_status load_kernel(void *context, const rt_candidate *candidate, const ts_kernel **out,
                             ts_err *err) {
    ts_kernels *kernels = context;
    ts_device *device = kernels->device;
    rt_layer *layer = &kernels->layers[candidate->layer];
    db_kernel *kernel = &layer->image.kernels[candidate->kernel - layer->image.kernels];
    ts_kernel **slot = &layer->loaded[kernel - layer->image.kernels];
    if (kernel->driver_min > device->info.driver_version)
        return ts_fail(
            err, TS_STATUS_UNSUPPORTED,
            "needs a driver for CUDA %d.%d, this one is for %d.%d; update the driver, or tune here "
            "or `tune build` with an older NVRTC (--nvrtc)",
            kernel->driver_min / 1000, kernel->driver_min % 1000 / 10,
            device->info.driver_version / 1000, device->info.driver_version % 1000 / 10);
    if (!*slot) {
        TS_TRY(db_kernel_unpack(kernel, &layer->image.arena, err));
        TS_TRY(rt_kernel_create_named(device, kernel->blob, kernel->blob_bytes, kernel->launch,
                                      kernel->variant, slot, err));
    }
    *out = *slot;
    return TS_STATUS_OK;
}

static ts_status ensure_loaded(ts_kernels *kernels, rt_group *group, ts_err *err) {
    if (atomic_load_explicit(&group->loaded, memory_order_acquire)) return TS_STATUS_OK;
    const rt_group_source source = {
        .device = kernels->device,
        .arena = &kernels->arena,
        .context = kernels,
        .load = load_kernel,
        .warn = warn,
    };
    pthread_mutex_lock(&kernels->lock);
    ts_status status = atomic_load(&group->loaded) ? TS_STATUS_OK
                                                   : rt_group_load(group, &source, err);
    pthread_mutex_unlock(&kernels->lock);
    return status;
}

/* ---- finding ---- */

static ts_status not_found(const ts_kernels *kernels, const char *family, const char *spec,
                           ts_err *err) {
    const rt_device_info *device = &kernels->device->info;
    return ts_fail(err, TS_STATUS_NOT_FOUND,
                   "no kernel for '%.40s%s%.300s' in %.200s that %.100s (%s) can load; add it with "
                   "`tune --db %.200s --model DIR` or `--problem 'SPEC'`",
                   family, *family ? " " : "", spec, kernels->path, device->name, device->target,
                   kernels->path);
}

static int compare_to_group(const void *spec, const void *group) {
    return rt_problem_compare(spec, &((const rt_group *)group)->candidates[0].spec);
}

ts_status rt_group_find(ts_kernels *kernels, const char *family, const char *spec,
                        const rt_group **out, ts_err *err) {
    rt_problem wanted;
    TS_TRY(rt_spec_parse(family, spec, &wanted, err));
    rt_group *group = bsearch(&wanted, kernels->groups, kernels->group_count, sizeof *group,
                              compare_to_group);
    if (!group) return not_found(kernels, family, spec, err);
    TS_TRY(ensure_loaded(kernels, group, err));
    *out = group;
    return TS_STATUS_OK;
}

/* The group whose specialization is part of the problem; *same_family is any group of the family.
 * Groups of a family differ in a value of the same fields, so at most one fits. */
static rt_group *group_of_problem(ts_kernels *kernels, const rt_problem *problem,
                                  const rt_group **same_family) {
    for (size_t i = 0; i < kernels->group_count; i++) {
        rt_group *group = &kernels->groups[i];
        const rt_problem *spec = &group->candidates[0].spec;
        if (!rt_slice_equal(spec->family, problem->family)) continue;
        *same_family = group;
        if (rt_problem_contains(problem, spec)) return group;
    }
    return NULL;
}

/* Says which field of the family the problem leaves out, if it does. */
static ts_status check_spec_fields(const rt_problem *problem, const rt_problem *spec, ts_err *err) {
    for (size_t i = 0; i < spec->count; i++) {
        rt_slice name = spec->fields[i].name;
        if (!rt_problem_value(problem, name))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "the problem of %.*s lacks the field %.*s", (int)spec->family.bytes,
                           spec->family.at, (int)name.bytes, name.at);
    }
    return TS_STATUS_OK;
}

/* Everything in the problem beside the specialization must be the kernel's extents, all of them. */
static ts_status read_extents(const rt_problem *problem, const rt_problem *spec,
                              const rt_launch_data *data, int64_t *extents, ts_err *err) {
    for (size_t i = 0; i < data->extent_count; i++) {
        const char *name = data->extents[i].name;
        const rt_slice *value = rt_problem_value(problem, (rt_slice){name, strlen(name)});
        if (!value)
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "the problem of %.*s lacks the extent %s", (int)problem->family.bytes,
                           problem->family.at, name);
        if (!rt_slice_number(*value, &extents[i]))
            return ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                           "extent %s is '%.*s', not a number from 0", name,
                           (int)(value->bytes < 80 ? value->bytes : 80), value->at);
    }
    if (problem->count != spec->count + data->extent_count)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "the problem has %zu fields, %.*s has %zu",
                       problem->count, (int)problem->family.bytes, problem->family.at,
                       spec->count + data->extent_count);
    return TS_STATUS_OK;
}

static ts_status find_by_parsing(ts_kernels *kernels, const char *problem, const ts_kernel **out,
                                 ts_err *err) {
    rt_problem wanted;
    const rt_group *same_family = NULL;
    int64_t extents[RT_MAX_EXTENTS];
    TS_TRY(rt_problem_parse(problem, &wanted, err));
    rt_group *group = group_of_problem(kernels, &wanted, &same_family);
    if (!group && same_family)
        TS_TRY(check_spec_fields(&wanted, &same_family->candidates[0].spec, err));
    if (!group) return not_found(kernels, "", problem, err);
    TS_TRY(ensure_loaded(kernels, group, err));
    TS_TRY(read_extents(&wanted, &group->candidates[0].spec, &group->entries[0].kernel->data,
                        extents, err));
    *out = rt_group_nearest(group, extents);
    return TS_STATUS_OK;
}

ts_status ts_kernel_find(ts_kernels *kernels, const char *problem, const ts_kernel **out,
                         ts_err *err) {
    const ts_kernel *known = rt_memo_find(&kernels->memo, problem);
    if (known) return *out = known, TS_STATUS_OK;
    TS_TRY(find_by_parsing(kernels, problem, out, err));
    if (rt_memo_has_room(&kernels->memo)) {
        pthread_mutex_lock(&kernels->lock);
        rt_memo_add(&kernels->memo, &kernels->arena, problem, *out);
        pthread_mutex_unlock(&kernels->lock);
    }
    return TS_STATUS_OK;
}
