/* Entries wait in lists until their events have happened: `pending` for what was launched, `graph`
 * for what was captured, which is read once a replay. On the CPU an entry is done when it ends.
 */
#include "profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ROWS = 64, MOST_PENDING = 4096 };

typedef struct entry {
    const char *part;
    rt_phase phase;
    rt_event *begin, *end;
    bool begin_is_shared; /* the end of the entry before */
    bool has_work;
    rt_work work;
    const rt_used *used; /* with the rest: work that depends on `keys`, captured */
    void *args;
} entry;

typedef struct entry_list {
    entry *items;
    size_t count, room;
} entry_list;

struct rt_profile {
    ts_device *device;
    rt_peaks peaks;
    void *stream; /* the last one that was worked on */
    rt_profile_row rows[MAX_ROWS];
    size_t row_count;
    const char *last; /* part of the last launch */
    rt_phase last_phase;
    entry_list pending, graph;
    rt_event *open; /* begin of the present act */
    double open_s;  /* the same on the CPU */
    bool running, capturing, replayed;
    int64_t replayed_keys;
    double elapsed_s, resumed_s, reading_s;
};

double rt_profile_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

ts_status rt_profile_create(ts_device *device, const rt_peaks *peaks, rt_profile **out,
                            ts_err *err) {
    rt_profile *p = calloc(1, sizeof *p);
    if (!p) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "profile");
    p->device = device;
    p->peaks = *peaks;
    p->last = "upload";
    *out = p;
    return TS_STATUS_OK;
}

static void free_entries(rt_profile *p, entry_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const entry *e = &list->items[i];
        if (e->begin && !e->begin_is_shared) p->device->ops->event_destroy(p->device, e->begin);
        if (e->end) p->device->ops->event_destroy(p->device, e->end);
        free(e->args);
    }
    list->count = 0;
}

void rt_profile_destroy(rt_profile *p) {
    if (!p) return;
    free_entries(p, &p->pending);
    free_entries(p, &p->graph);
    if (p->open) p->device->ops->event_destroy(p->device, p->open);
    free(p->pending.items);
    free(p->graph.items);
    free(p);
}

/* ---- rows ---- */

static rt_profile_row *row_of(rt_profile *p, const char *part) {
    for (size_t i = 0; i < p->row_count; i++)
        if (strcmp(p->rows[i].part, part) == 0) return &p->rows[i];
    if (p->row_count == MAX_ROWS) return &p->rows[MAX_ROWS - 1];
    p->rows[p->row_count] = (rt_profile_row){.part = part, .has_work = true};
    return &p->rows[p->row_count++];
}

static double limit_us(const rt_profile *p, const rt_work *work) {
    return 1e-3 * fmax(work->flops / p->peaks.gflops, work->bytes / p->peaks.gbytes);
}

static void count_entry(rt_profile *p, const entry *e, const rt_work *work, double us) {
    rt_profile_row *row = row_of(p, e->part);
    row->calls++;
    row->us += us;
    if (e->phase == RT_DECODE) row->step_us += us;
    row->has_work = row->has_work && work;
    if (!work) return;
    row->flops += work->flops;
    row->bytes += work->bytes;
    row->limit_us += limit_us(p, work);
}

void rt_profile_add(rt_profile *p, const char *part, double us) {
    rt_profile_row *row = row_of(p, part);
    row->calls++;
    row->us += us;
    row->has_work = false;
}

/* ---- reading events ---- */

/* Counts what the list's events say; waits for those that have not happened. */
static ts_status read_entries(rt_profile *p, const entry_list *list, ts_err *err) {
    double begin_s = rt_profile_now();
    for (size_t i = 0; i < list->count; i++) {
        const entry *e = &list->items[i];
        double us;
        rt_work work = e->work;
        bool known = e->has_work;
        if (e->args)
            known = rt_group_work(e->used->group, e->args, e->used->use->keys, p->replayed_keys,
                                  &work);
        TS_TRY(p->device->ops->event_elapsed(p->device, e->begin, e->end, &us, err));
        count_entry(p, e, known ? &work : NULL, us);
    }
    p->reading_s += rt_profile_now() - begin_s;
    return TS_STATUS_OK;
}

static ts_status read_pending(rt_profile *p, ts_err *err) {
    TS_TRY(read_entries(p, &p->pending, err));
    double begin_s = rt_profile_now();
    free_entries(p, &p->pending);
    p->reading_s += rt_profile_now() - begin_s;
    return TS_STATUS_OK;
}

static ts_status read_replay(rt_profile *p, ts_err *err) {
    if (!p->replayed) return TS_STATUS_OK;
    p->replayed = false;
    TS_TRY(p->device->ops->sync(p->device, p->stream, err)); /* waiting counts, reading does not */
    return read_entries(p, &p->graph, err);
}

/* The wait belongs to the elapsed time, reading does not. */
static ts_status wait_and_read(rt_profile *p, ts_err *err) {
    if (p->stream) TS_TRY(p->device->ops->sync(p->device, p->stream, err));
    TS_TRY(read_pending(p, err));
    return read_replay(p, err);
}

void rt_profile_resume(rt_profile *p) {
    p->running = true;
    p->reading_s = 0;
    p->resumed_s = rt_profile_now();
}

ts_status rt_profile_pause(rt_profile *p, ts_err *err) {
    ts_status status = wait_and_read(p, err);
    p->elapsed_s += rt_profile_now() - p->resumed_s - p->reading_s;
    p->running = false;
    return status;
}

double rt_profile_elapsed_us(const rt_profile *p) { return 1e6 * p->elapsed_s; }

ts_status rt_profile_rows(const rt_profile *p, rt_profile_row **rows, size_t *count, ts_err *err) {
    rt_profile_row *all = malloc((p->row_count + 1) * sizeof *all);
    if (!all) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "rows of a profile");
    double rest_us = rt_profile_elapsed_us(p);
    for (size_t i = 0; i < p->row_count; i++) {
        all[i] = p->rows[i];
        rest_us -= all[i].us;
    }
    all[p->row_count] = (rt_profile_row){.part = "host", .calls = 1, .us = fmax(rest_us, 0)};
    *rows = all;
    *count = p->row_count + 1;
    return TS_STATUS_OK;
}

/* ---- acts ---- */

/* Outside of resume and pause only a capture is of interest. */
static bool is_watching(const rt_profile *p) { return p->running || p->capturing; }

static ts_status add_entry(entry_list *list, const entry *e, ts_err *err) {
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        entry *items = realloc(list->items, room * sizeof *items);
        if (!items) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "profile of %zu launches", room);
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = *e;
    return TS_STATUS_OK;
}

static ts_status record(rt_profile *p, void *stream, rt_event **out, ts_err *err) {
    TS_TRY(p->device->ops->event_create(p->device, out, err));
    return p->device->ops->event_record(p->device, *out, stream, err);
}

ts_status rt_profile_begin(rt_profile *p, void *stream, ts_err *err) {
    if (!is_watching(p)) return TS_STATUS_OK;
    p->stream = stream;
    if (p->device->info.is_cpu) {
        p->open_s = rt_profile_now();
        return TS_STATUS_OK;
    }
    if (p->open) p->device->ops->event_destroy(p->device, p->open); /* its act failed */
    p->open = NULL;
    /* In a graph one launch follows the other: half the nodes will do. */
    if (p->capturing && p->graph.count > 0) return TS_STATUS_OK;
    return record(p, stream, &p->open, err);
}

static ts_status describe(rt_profile *p, const rt_profile_act *act, entry *e, ts_err *err) {
    const rt_used *used = act->used;
    *e = (entry){.part = act->part ? act->part : p->last, .phase = p->last_phase};
    if (!used) {
        e->has_work = !act->part; /* between host and device other limits hold */
        e->work.bytes = 2 * (double)act->bytes;
        return TS_STATUS_OK;
    }
    p->last = e->part = used->use->part;
    p->last_phase = e->phase = used->phase;
    const char *keys = used->phase == RT_DECODE ? used->use->keys : NULL;
    e->has_work = rt_group_work(used->group, act->args, keys, act->keys, &e->work);
    if (!p->capturing || !keys) return TS_STATUS_OK;
    e->used = used;
    e->args = malloc(act->args_bytes);
    if (!e->args) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "profile");
    memcpy(e->args, act->args, act->args_bytes);
    return TS_STATUS_OK;
}

ts_status rt_profile_end(rt_profile *p, void *stream, const rt_profile_act *act, ts_err *err) {
    entry e;
    double end_s = rt_profile_now();
    if (!is_watching(p)) return TS_STATUS_OK;
    TS_TRY(describe(p, act, &e, err));
    if (p->device->info.is_cpu) {
        count_entry(p, &e, e.has_work ? &e.work : NULL, 1e6 * (end_s - p->open_s));
        return TS_STATUS_OK;
    }
    entry_list *list = p->capturing ? &p->graph : &p->pending;
    e.begin_is_shared = !p->open;
    e.begin = p->open ? p->open : list->items[list->count - 1].end;
    p->open = NULL;
    ts_status status = record(p, stream, &e.end, err);
    if (status == TS_STATUS_OK) status = add_entry(list, &e, err);
    if (status != TS_STATUS_OK) {
        free_entries(p, &(entry_list){.items = &e, .count = 1});
        return status;
    }
    if (list->count < MOST_PENDING || p->capturing) return TS_STATUS_OK;
    TS_TRY(p->device->ops->sync(p->device, stream, err));
    return read_pending(p, err);
}

void rt_profile_capture(rt_profile *p, bool on) {
    if (on) free_entries(p, &p->graph);
    p->capturing = on;
}

ts_status rt_profile_replay(rt_profile *p, void *stream, int64_t keys, ts_err *err) {
    if (!p->running) return TS_STATUS_OK;
    TS_TRY(read_replay(p, err)); /* this replay records the events of the one before anew */
    p->stream = stream;
    p->replayed = true;
    p->replayed_keys = keys;
    return TS_STATUS_OK;
}
