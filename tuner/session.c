/* Setting up: which device and target are meant, and is one of them here. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compile_cache.h"
#include "oracle.h"
#include "process.h"
#include "shard.h"
#include "templates_dir.h"

volatile sig_atomic_t tuner_interrupted;

/* Some fifty thousand kernels. */
static const int64_t max_cache_bytes = (int64_t)2 << 30;

static ts_status find_target(tuner_session *s, const char *name, ts_err *err) {
    s->target = gen_target_find(s->g, name);
    if (s->target) return TS_STATUS_OK;
    ts_buf known = {0};
    for (size_t i = 0; i < gen_target_count(s->g); i++)
        ts_buf_printf(&known, " %s", gen_target_name(gen_target_at(s->g, i)));
    ts_status status = ts_fail(err, TS_STATUS_INVALID_ARGUMENT,
                               "no target \"%s\"; there are: auto cpu%s", name,
                               known.data ? known.data : "");
    ts_buf_free(&known);
    return status;
}

/* Which device to open for --gpu: known before any device is looked at. */
static ts_status name_device(tuner_session *s, ts_err *err) {
    const tuner_options *o = s->options;
    bool is_auto = strcmp(o->gpu, "auto") == 0, is_cpu = strcmp(o->gpu, "cpu") == 0;
    if (!is_auto && !is_cpu) TS_TRY(find_target(s, o->gpu, err));
    if (is_cpu || (s->target && gen_target_kind(s->target) == GEN_CPU))
        snprintf(s->device_name, sizeof s->device_name, "cpu");
    else if (is_auto && !o->device)
        snprintf(s->device_name, sizeof s->device_name, "auto");
    else
        snprintf(s->device_name, sizeof s->device_name, "cuda:%s",
                 o->device ? o->device : gen_target_name(s->target));
    return TS_STATUS_OK;
}

/* A driver compiles PTX for any GPU that is not older than the PTX's architecture. */
static bool takes_ptx(const tuner_session *s) {
    static const char VIRTUAL[] = "compute_";
    const char *ptx = s->options->ptx;
    return !s->facts.info.is_cpu && strncmp(ptx, VIRTUAL, sizeof VIRTUAL - 1) == 0 &&
           strtol(ptx + sizeof VIRTUAL - 1, NULL, 10) <= s->facts.info.compute_capability;
}

static ts_status look_for_device(tuner_session *s, ts_err *err) {
    ts_err why = {0};
    ts_status status = tuner_lab_facts(&s->lab, &s->facts, &why);
    if (status == TS_STATUS_CANCELLED) return ts_fail(err, status, "%s", why.message);
    if (status != TS_STATUS_OK && s->target) { /* no such GPU: what else is here? */
        snprintf(s->device_name, sizeof s->device_name, "auto");
        tuner_worker_stop(&s->lab.workers[0]); /* it was forked with the other name */
        status = tuner_lab_facts(&s->lab, &s->facts, NULL);
    }
    s->any_device = status == TS_STATUS_OK;
    if (!s->target) { /* auto, cpu: the device says what it is */
        if (status != TS_STATUS_OK) return ts_fail(err, TS_STATUS_NO_DEVICE, "%s", why.message);
        TS_TRY(find_target(s, s->facts.info.target, err));
    }
    for (size_t i = 0; i < s->facts.target_count && s->any_device; i++)
        if (strcmp(s->facts.targets[i], gen_target_name(s->target)) == 0) s->have_device = true;
    if (s->options->ptx) s->have_device = s->any_device && takes_ptx(s);
    if (s->have_device || !s->options->require_device) return TS_STATUS_OK;
    if (s->any_device)
        return ts_fail(err, TS_STATUS_NO_DEVICE, "no %s device here; found %s (%s)",
                       gen_target_name(s->target), s->facts.info.name, s->facts.info.target);
    return ts_fail(err, TS_STATUS_NO_DEVICE, "no %s device here: %s", gen_target_name(s->target),
                   why.message);
}

/* Oracles of families that came with --templates; those of the built-in folder are linked in. */
static ts_status build_oracles(tuner_session *s, ts_err *err) {
    for (size_t i = 0; i < s->selection.count; i++) {
        const gen_family *family = s->selection.problems[i].problem.family;
        char path[400];
        bool built_in = tuner_templates_built_in(gen_family_dir(family));
        snprintf(path, sizeof path, "%s/%s.so", s->scratch, gen_family_name(family));
        if ((built_in && tuner_oracle_is_linked(gen_family_name(family))) ||
            access(path, F_OK) == 0)
            continue;
        TS_TRY(tuner_oracle_build(s->g, family, s->scratch, err));
    }
    return TS_STATUS_OK;
}

static ts_status open_templates(tuner_session *s, const tuner_options *options, ts_err *err) {
    *s = (tuner_session){.options = options, .scratch_lock = -1};
    TS_TRY(gen_open(options->template_dirs, &s->g, err));
    return tuner_scratch_make_locked(s->scratch, &s->scratch_lock, err);
}

static void open_lab(tuner_session *s, const volatile sig_atomic_t *interrupted) {
    const tuner_options *options = s->options;
    tuner_nvrtc_use(options->nvrtc);
    tuner_device_context context = {s->g, s->device_name, s->scratch, options->seed};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    tuner_lab_init(&s->lab, &context,
                   options->jobs ? (size_t)options->jobs : (size_t)(cores > 0 ? cores : 1),
                   options->timeout_s, interrupted);
    s->lab.ptx = options->ptx;
}

ts_status tuner_session_open_compilers(tuner_session *s, const tuner_options *options,
                                       const volatile sig_atomic_t *interrupted, ts_err *err) {
    TS_TRY(open_templates(s, options, err));
    open_lab(s, interrupted);
    return TS_STATUS_OK;
}

ts_status tuner_session_compiler(tuner_session *s, const tuner_compiler **out, ts_err *err) {
    const tuner_compiler *compiler = NULL;
    TS_TRY(tuner_lab_compiler(&s->lab, gen_target_kind(s->target), &compiler, err));
    if (!s->options->ptx) TS_TRY(tuner_compiler_check(compiler, s->target, err));
    int32_t needed = compiler->driver_min, here = s->facts.info.driver_version;
    if (s->have_device && needed > here)
        return ts_fail(err, TS_STATUS_UNSUPPORTED,
                       "%s makes code for drivers of CUDA %d.%d and newer, the one here is for "
                       "%d.%d; update it, or give an older NVRTC library with --nvrtc PATH",
                       compiler->name, needed / 1000, needed % 1000 / 10, here / 1000,
                       here % 1000 / 10);
    *out = compiler;
    return TS_STATUS_OK;
}

const gen_target *tuner_oldest_level(const gen_target *target) {
    const gen_target *oldest = target, *parent;
    while ((parent = gen_target_parent(oldest))) oldest = parent;
    return gen_target_kind(target) == GEN_CPU && oldest != target ? oldest : NULL;
}

ts_status tuner_session_open(tuner_session *s, const tuner_options *options, const char *list,
                             const volatile sig_atomic_t *interrupted, ts_err *err) {
    TS_TRY(open_templates(s, options, err));
    TS_TRY(name_device(s, err));
    open_lab(s, interrupted);
    TS_TRY(look_for_device(s, err));
    TS_TRY(tuner_select(s->g, options, list, s->target, &s->selection, err));
    s->selection.whole = s->selection.count;
    if (options->shards)
        TS_TRY(tuner_shard(s->g, &s->selection, options->shard, options->shards, err));
    return build_oracles(s, err);
}

void tuner_session_close(tuner_session *s) {
    tuner_compile_cache cache;
    tuner_lab_close(&s->lab);
    tuner_compile_cache_open(&cache);
    tuner_compile_cache_prune(&cache, max_cache_bytes);
    tuner_selection_free(&s->selection);
    if (s->scratch[0]) tuner_scratch_remove(s->scratch);
    if (s->scratch_lock >= 0) close(s->scratch_lock);
    gen_close(s->g);
}
