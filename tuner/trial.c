/* Laying out one case in memory, drawing its inputs, asking the oracle.
 *
 * Every byte of the slab that is not an input value holds a poison pattern that is a NaN in fp32,
 * fp16 and bf16: a kernel that reads past a row computes NaN, one that forgets an element leaves
 * NaN, and one that writes outside is seen by the changed pattern. Inputs and outputs have
 * different patterns, so copying padding from one to the other is seen too. What is expected is
 * kept as the oracle's doubles, for sampled lanes only those elements that they wrote. */
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numeric.h"
#include "oracle.h"
#include "parallel.h"

enum { INPUT_POISON = 0x7ffb, OUTPUT_POISON = 0xfff5, ALIGN_BYTES = 256 };

static const uint64_t unwritten_bits = 0x7ff8deadbeef0001u;
const double tuner_unwritten = __builtin_nan("0xdeadbeef0001");

bool tuner_is_unwritten(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == unwritten_bits;
}

/* Is `word` one of the space-separated words of `list`? */
static bool lists(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
    return false;
}

static int find_tensor(const gen_binding *binding, const char *name, size_t length) {
    for (size_t i = 0; i < binding->tensor_count; i++)
        if (strlen(binding->tensors[i].name) == length &&
            memcmp(binding->tensors[i].name, name, length) == 0)
            return (int)i;
    return -1;
}

static ts_status read_aliases(tuner_trial *trial, ts_err *err) {
    for (size_t i = 0; i < GEN_MAX_TENSORS; i++) trial->shared_with[i] = -1;
    for (const char *at = trial->test.alias; *at;) {
        size_t length = strcspn(at, " "), left = strcspn(at, "=");
        if (left < length) {
            int out = find_tensor(&trial->binding, at, left);
            int in = find_tensor(&trial->binding, at + left + 1, length - left - 1);
            if (out < 0 || in < 0)
                return ts_fail(err, TS_STATUS_TEMPLATE, "%s: alias \"%.*s\" names no tensor",
                               gen_family_name(trial->test.problem.family), (int)length, at);
            trial->shared_with[out] = in;
        }
        at += length;
        while (*at == ' ') at++;
    }
    return TS_STATUS_OK;
}

static size_t tensor_bytes(const gen_tensor *t) {
    return t->rows <= 0 ? 0
                        : (size_t)((t->rows - 1) * t->pitch + t->cols) * gen_dtype_bytes(t->dtype);
}

static bool is_writable(const tuner_trial *trial, size_t tensor) {
    if (trial->binding.tensors[tensor].direction != GEN_IN) return true;
    for (size_t i = 0; i < trial->binding.tensor_count; i++)
        if (trial->shared_with[i] == (int)tensor) return true;
    return false;
}

static bool is_omitted(const tuner_trial *trial, size_t tensor) {
    return lists(trial->test.omit, trial->binding.tensors[tensor].name);
}

static void lay_out(tuner_trial *trial) {
    size_t at = 0;
    for (int writable = 0; writable < 2; writable++) {
        if (writable) trial->writable_at = at;
        at += TUNER_GUARD_BYTES;
        for (size_t i = 0; i < trial->binding.tensor_count; i++) {
            if (is_writable(trial, i) != (writable == 1) || trial->shared_with[i] >= 0) continue;
            trial->offset[i] = SIZE_MAX;
            if (is_omitted(trial, i)) continue;
            trial->offset[i] = at;
            at += tensor_bytes(&trial->binding.tensors[i]) + TUNER_GUARD_BYTES;
            at = (at + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
        }
    }
    trial->image_bytes = at;
    for (size_t i = 0; i < trial->binding.tensor_count; i++)
        if (trial->shared_with[i] >= 0) trial->offset[i] = trial->offset[trial->shared_with[i]];
}

typedef struct poisoning {
    unsigned char *data;
    uint16_t pattern;
} poisoning;

static void poison_piece(void *context, int64_t begin, int64_t end) {
    const poisoning *p = context;
    for (int64_t i = begin; i < end; i++) memcpy(p->data + 2 * i, &p->pattern, 2);
}

static void poison(unsigned char *data, size_t bytes, uint16_t pattern, int threads) {
    poisoning p = {data, pattern};
    tuner_parallel((int64_t)(bytes / 2), 16 * TUNER_GRAIN, threads, poison_piece, &p);
}

static ts_status draw_image(tuner_trial *trial, const tuner_trial_options *options, ts_err *err) {
    trial->image = malloc(trial->image_bytes);
    if (!trial->image)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%zu bytes for the inputs",
                       trial->image_bytes);
    poison(trial->image, trial->writable_at, INPUT_POISON, options->threads);
    poison(trial->image + trial->writable_at, trial->image_bytes - trial->writable_at,
           OUTPUT_POISON, options->threads);
    for (size_t i = 0; i < trial->binding.tensor_count; i++) {
        const gen_tensor *t = &trial->binding.tensors[i];
        if (t->direction != GEN_OUT && trial->offset[i] != SIZE_MAX)
            tuner_fill_tensor(t, options->seed, i, options->longest, options->threads,
                              trial->image + trial->offset[i]);
    }
    return TS_STATUS_OK;
}

/* ---- the oracle's values ---- */

/* A tensor, its bytes in the image, and the oracle's dense copy of it. */
typedef struct copying {
    const gen_tensor *tensor;
    const unsigned char *data;
    double *dense;
} copying;

static void copy_piece(void *context, int64_t begin, int64_t end) {
    const copying *c = context;
    const gen_tensor *t = c->tensor;
    tuner_cursor cursor = tuner_cursor_at(t, begin);
    for (int64_t i = begin; i < end; i++, tuner_cursor_next(t, &cursor))
        c->dense[i] = t->direction == GEN_OUT
                          ? tuner_unwritten
                          : tuner_load_element(t->dtype, c->data, cursor.at);
}

/* Outputs start as "unwritten". */
static double *dense_copy(const tuner_trial *trial, size_t tensor, int threads) {
    const gen_tensor *t = &trial->binding.tensors[tensor];
    int64_t count = t->rows * t->cols;
    copying c = {t, trial->image + trial->offset[tensor],
                 malloc((size_t)(count + 1) * sizeof *c.dense)};
    if (c.dense) tuner_parallel(count, TUNER_GRAIN, threads, copy_piece, &c);
    return c.dense;
}

/* First, last and evenly spread lanes between them, each moved by a random part of its step. No lane
 * twice: lanes run in parallel and would write the same outputs. */
static int64_t *sample_lanes(int64_t lanes, int64_t count, uint64_t seed) {
    int64_t *list = malloc((size_t)count * sizeof *list);
    for (int64_t i = 0; list && i < count; i++) {
        double step = (double)lanes / (double)count;
        double within = i == 0 ? 0 : i == count - 1 ? 1 : tuner_random_unit(seed, 77, (uint64_t)i);
        int64_t lane = (int64_t)(step * ((double)i + within));
        if (i > 0 && lane <= list[i - 1]) lane = list[i - 1] + 1; /* steps meet within a lane */
        list[i] = lane < lanes ? lane : lanes - 1;
    }
    return list;
}

/* `at`: where the element lies in the image. */
static bool was_written(const copying *c, int64_t element, int64_t at) {
    const gen_tensor *t = c->tensor;
    double value = c->dense[element];
    if (t->direction == GEN_OUT) return !tuner_is_unwritten(value);
    double before = tuner_load_element(t->dtype, c->data, at);
    return memcmp(&before, &value, sizeof value) != 0;
}

static void measure_rms(tuner_expect *expect) {
    double sum = 0, finite = 0;
    for (int64_t i = 0; i < expect->count; i++) {
        if (!isfinite(expect->value[i])) continue;
        sum += expect->value[i] * expect->value[i];
        finite++;
    }
    expect->rms = finite > 0 ? sqrt(sum / finite) : 0;
}

/* What sampled lanes wrote, packed piece by piece: first how much there is in each, then where it goes.
 */
typedef struct packing {
    copying from;
    int64_t *place; /* each piece's first in the packed arrays; while counting, how many it has */
    int64_t *index;
    double *value;
} packing;

static void count_piece(void *context, int64_t begin, int64_t end) {
    packing *p = context;
    int64_t count = 0;
    tuner_cursor cursor = tuner_cursor_at(p->from.tensor, begin);
    for (int64_t i = begin; i < end; i++, tuner_cursor_next(p->from.tensor, &cursor))
        count += was_written(&p->from, i, cursor.at);
    p->place[begin / TUNER_GRAIN] = count;
}

static void pack_piece(void *context, int64_t begin, int64_t end) {
    packing *p = context;
    int64_t at = p->place[begin / TUNER_GRAIN];
    tuner_cursor cursor = tuner_cursor_at(p->from.tensor, begin);
    for (int64_t i = begin; i < end; i++, tuner_cursor_next(p->from.tensor, &cursor)) {
        if (!was_written(&p->from, i, cursor.at)) continue;
        p->index[at] = i;
        p->value[at++] = p->from.dense[i];
    }
}

static ts_status pack_written(packing *p, int64_t elements, int threads, tuner_expect *expect) {
    int64_t pieces = (elements + TUNER_GRAIN - 1) / TUNER_GRAIN, kept = 0;
    p->place = malloc((size_t)(pieces + 1) * sizeof *p->place);
    if (!p->place) return TS_STATUS_OUT_OF_MEMORY;
    tuner_parallel(elements, TUNER_GRAIN, threads, count_piece, p);
    for (int64_t i = 0; i < pieces; i++) {
        int64_t count = p->place[i];
        p->place[i] = kept;
        kept += count;
    }
    expect->count = kept;
    expect->index = p->index = malloc((size_t)(kept + 1) * sizeof *p->index);
    expect->value = p->value = malloc((size_t)(kept + 1) * sizeof *p->value);
    bool enough = p->index && p->value;
    if (enough) tuner_parallel(elements, TUNER_GRAIN, threads, pack_piece, p);
    free(p->place);
    return enough ? TS_STATUS_OK : TS_STATUS_OUT_OF_MEMORY;
}

/* Takes over `dense`; for sampled lanes keeps only what they wrote. */
static ts_status keep_expected(tuner_trial *trial, size_t tensor, double *dense, bool sampled,
                               int threads, ts_err *err) {
    const gen_tensor *t = &trial->binding.tensors[tensor];
    tuner_expect *expect = &trial->expect[tensor];
    packing p = {.from = {t, trial->image + trial->offset[tensor], dense}};
    if (!sampled) {
        expect->value = dense;
        expect->count = t->rows * t->cols;
    } else {
        ts_status status = pack_written(&p, t->rows * t->cols, threads, expect);
        free(dense);
        if (status != TS_STATUS_OK)
            return ts_fail(err, status, "expected values of %s", t->name);
    }
    measure_rms(expect);
    return TS_STATUS_OK;
}

static ts_status ask_oracle(tuner_trial *trial, const tuner_trial_options *options, ts_err *err) {
    const gen_binding *binding = &trial->binding;
    double *data[GEN_MAX_TENSORS] = {0};
    union {
        int64_t integer;
        double number;
        void *pointer;
    } slots[GEN_MAX_FIELDS + GEN_MAX_SCALARS + GEN_MAX_TENSORS] = {0};
    ts_status status = TS_STATUS_OK;
    int64_t count = binding->lanes, *lanes = NULL;
    if (options->max_flops > 0 && binding->flops > options->max_flops) {
        count = (int64_t)((double)binding->lanes * options->max_flops / binding->flops);
        if (count < 2) count = binding->lanes < 2 ? binding->lanes : 2;
    }
    bool sampled = count < binding->lanes;
    if (sampled && !(lanes = sample_lanes(binding->lanes, count, options->seed)))
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "list of lanes");
    for (size_t i = 0; i < binding->tensor_count && status == TS_STATUS_OK; i++)
        if (trial->offset[i] != SIZE_MAX &&
            !(data[i] = dense_copy(trial, i, options->threads)))
            status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "the oracle's copy of %s",
                             binding->tensors[i].name);
    if (status == TS_STATUS_OK) {
        gen_ref_slots(&trial->test, binding, data, slots);
        tuner_oracle_run(options->oracle, slots, lanes, count, options->threads);
    }
    for (size_t i = 0; i < binding->tensor_count; i++) {
        bool output = binding->tensors[i].direction != GEN_IN;
        if (output && data[i] && status == TS_STATUS_OK)
            status = keep_expected(trial, i, data[i], sampled, options->threads, err);
        else
            free(data[i]);
    }
    free(lanes);
    return status;
}

ts_status tuner_trial_create(gen *g, const gen_case *test, const tuner_trial_options *options,
                             tuner_trial **out, ts_err *err) {
    tuner_trial *trial = calloc(1, sizeof *trial);
    if (!trial) return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "trial");
    trial->test = *test;
    ts_status status = gen_bind(g, test, &trial->binding, err);
    if (status == TS_STATUS_OK) status = read_aliases(trial, err);
    if (status == TS_STATUS_OK) {
        lay_out(trial);
        status = draw_image(trial, options, err);
    }
    if (status == TS_STATUS_OK) status = ask_oracle(trial, options, err);
    if (status == TS_STATUS_OK)
        *out = trial;
    else
        tuner_trial_free(trial);
    return status;
}

void tuner_trial_free(tuner_trial *trial) {
    if (!trial) return;
    for (size_t i = 0; i < GEN_MAX_TENSORS; i++) {
        free(trial->expect[i].index);
        free(trial->expect[i].value);
    }
    free(trial->image);
    free(trial);
}

void tuner_trial_args(const tuner_trial *trial, void *slab, void *workspace, void *args) {
    const gen_binding *binding = &trial->binding;
    unsigned char *at = args;
    memset(args, 0, (size_t)binding->args_bytes);
    memcpy(at, &workspace, sizeof workspace); /* the first member of every args struct */
    for (size_t i = 0; i < binding->tensor_count; i++) {
        const gen_tensor *t = &binding->tensors[i];
        void *pointer = trial->offset[i] == SIZE_MAX ? NULL
                                                     : (unsigned char *)slab + trial->offset[i];
        memcpy(at + t->offset, &pointer, sizeof pointer);
        if (t->pitch_offset >= 0) memcpy(at + t->pitch_offset, &t->pitch, sizeof t->pitch);
    }
    for (size_t i = 0; i < binding->scalar_count; i++) {
        float value = (float)binding->scalars[i].value;
        memcpy(at + binding->scalars[i].offset, &value, sizeof value);
    }
    for (size_t i = 0; i < binding->extent_count;
         i++) /* little-endian: the low bytes of a wider integer */
        memcpy(at + binding->extents[i].offset, &binding->extents[i].value,
               (size_t)binding->extents[i].bytes);
}
