/* What a kernel left in the slab, against what it should have left.
 *
 * Three questions, in this order, so that the message names the cause rather than a symptom: were
 * bytes changed that nobody may write; does every element that the oracle left alone still hold its
 * old bytes; is every other element, and each tensor as a whole, within the family's error bound.
 */
#include <math.h>
#include <string.h>

#include "numeric.h"
#include "trial.h"

typedef struct slab_view {
    const tuner_trial *trial;
    const unsigned char *after;
    size_t from;
} slab_view;

static const unsigned char *at_offset(const slab_view *view, size_t offset) {
    return view->after + (offset - view->from);
}

/* First byte in [begin, end) that changed; `end` if none did. */
static size_t first_change(const slab_view *view, size_t begin, size_t end) {
    const unsigned char *before = view->trial->image + begin, *after = at_offset(view, begin);
    if (begin >= end || memcmp(before, after, end - begin) == 0) return end;
    size_t i = 0;
    while (before[i] == after[i]) i++;
    return begin + i;
}

static size_t end_of(const tuner_trial *trial, size_t tensor) {
    const gen_tensor *t = &trial->binding.tensors[tensor];
    if (t->rows <= 0) return trial->offset[tensor];
    return trial->offset[tensor] +
           (size_t)((t->rows - 1) * t->pitch + t->cols) * gen_dtype_bytes(t->dtype);
}

/* The tensor that `offset` lies in or nearest to, for messages. */
static void say_stray_write(const tuner_trial *trial, size_t offset, ts_buf *message) {
    size_t nearest = 0, least = SIZE_MAX;
    for (size_t i = 0; i < trial->binding.tensor_count; i++) {
        if (trial->offset[i] == SIZE_MAX) continue;
        size_t begin = trial->offset[i], end = end_of(trial, i);
        size_t distance = offset < begin ? begin - offset : offset >= end ? offset - end + 1 : 0;
        if (distance >= least) continue;
        least = distance;
        nearest = i;
    }
    const gen_tensor *t = &trial->binding.tensors[nearest];
    size_t begin = trial->offset[nearest], end = end_of(trial, nearest);
    if (least == SIZE_MAX)
        ts_buf_printf(message, "wrote outside every tensor");
    else if (offset >= end)
        ts_buf_printf(message, "wrote %zu bytes past the end of %s", offset - end + 1, t->name);
    else if (offset < begin)
        ts_buf_printf(message, "wrote %zu bytes before the start of %s", begin - offset, t->name);
    else if (t->direction == GEN_IN)
        ts_buf_printf(message, "wrote to the input %s", t->name);
    else
        ts_buf_printf(message, "wrote between rows of %s (after row %zu)", t->name,
                      (offset - begin) / gen_dtype_bytes(t->dtype) / (size_t)t->pitch);
}

/* Next tensor with memory of its own whose start is at or after `offset`; -1 if none. */
static int next_owner(const tuner_trial *trial, size_t offset) {
    int best = -1;
    for (size_t i = 0; i < trial->binding.tensor_count; i++) {
        if (trial->shared_with[i] >= 0 || trial->offset[i] == SIZE_MAX || trial->offset[i] < offset)
            continue;
        if (best < 0 || trial->offset[i] < trial->offset[best]) best = (int)i;
    }
    return best;
}

/* Every byte of the writable part that belongs to no element. */
static size_t find_stray_write(const slab_view *view) {
    const tuner_trial *trial = view->trial;
    size_t cursor = trial->writable_at, changed;
    int owner = next_owner(trial, cursor);
    while (owner >= 0) {
        const gen_tensor *t = &trial->binding.tensors[owner];
        size_t element = gen_dtype_bytes(t->dtype), row_bytes = (size_t)t->cols * element;
        size_t pitch_bytes = (size_t)t->pitch * element, start = trial->offset[owner];
        if ((changed = first_change(view, cursor, start)) < start) return changed;
        for (int64_t row = 0; row + 1 < t->rows && pitch_bytes > row_bytes; row++) {
            size_t gap = start + (size_t)row * pitch_bytes + row_bytes,
                   end = start + (size_t)(row + 1) * pitch_bytes;
            if ((changed = first_change(view, gap, end)) < end) return changed;
        }
        cursor = end_of(trial, (size_t)owner);
        owner = next_owner(trial, start + 1);
    }
    return first_change(view, cursor, trial->image_bytes);
}

static bool check_bytes(const slab_view *view, ts_buf *message) {
    const tuner_trial *trial = view->trial;
    size_t changed = view->from == 0 ? first_change(view, 0, trial->writable_at)
                                     : trial->writable_at;
    bool clean = changed == trial->writable_at;
    if (clean) {
        changed = find_stray_write(view);
        clean = changed == trial->image_bytes;
    }
    if (!clean) say_stray_write(trial, changed, message);
    return clean;
}

typedef struct tensor_check {
    const gen_tensor *tensor;
    const char *name;
    int64_t row, col; /* of the element that fails */
    double got, want, bound;
    const char *fault;    /* NULL while all is right */
    double error2, norm2; /* squared norms of error and reference */
} tensor_check;

/* What the element's dtype cannot hold is infinity there, at its edge either side of it. */
static bool overflows_rightly(const tensor_check *check, double overflow) {
    double want = fabs(check->want);
    if (isinf(check->got))
        return want + check->bound >= overflow && (check->got > 0) == (check->want > 0);
    return want - check->bound < overflow && fabs(check->got - check->want) <= check->bound;
}

/* One element; false stops the tensor's loop with the fault noted. */
static bool check_element(tensor_check *check, double got, double want, double rms) {
    const gen_tensor *t = check->tensor;
    double overflow = tuner_overflow(t->dtype);
    check->got = got;
    check->want = want;
    check->bound = t->atol * rms + t->rtol * fabs(want);
    if (isnan(want) || isinf(want) || fabs(want) + check->bound >= overflow) {
        if (isnan(want)   ? isnan(got)
            : isinf(want) ? got == want
                          : overflows_rightly(check, overflow))
            return true;
        check->fault = "differs";
        return false;
    }
    double error = fabs(got - want);
    check->error2 += error * error;
    check->norm2 += want * want;
    if (error <= check->bound) return true; /* false for NaN */
    check->fault = "differs";
    return false;
}

static bool check_tensor(const slab_view *view, size_t tensor, tensor_check *check) {
    const tuner_trial *trial = view->trial;
    const tuner_expect *expect = &trial->expect[tensor];
    const gen_tensor *t = check->tensor;
    const unsigned char *before = trial->image + trial->offset[tensor];
    const unsigned char *after = at_offset(view, trial->offset[tensor]);
    size_t element_bytes = gen_dtype_bytes(t->dtype);
    for (int64_t i = 0; i < expect->count; i++) {
        int64_t element = expect->index ? expect->index[i] : i;
        check->row = element / t->cols;
        check->col = element % t->cols;
        int64_t at = check->row * t->pitch + check->col;
        bool kept = memcmp(before + (size_t)at * element_bytes, after + (size_t)at * element_bytes,
                           element_bytes) == 0;
        double got = tuner_load_element(t->dtype, after, at);
        if (tuner_is_unwritten(expect->value[i])) {
            if (kept) continue;
            check->got = got;
            check->fault = "must not be written";
            return false;
        }
        if (kept && t->direction == GEN_OUT && trial->shared_with[tensor] < 0) {
            check->want = expect->value[i];
            check->fault = "was not written";
            return false;
        }
        if (!check_element(check, got, expect->value[i], expect->rms)) return false;
    }
    return true;
}

static void say_fault(const tensor_check *check, ts_buf *message) {
    ts_buf_printf(message, "%s[%lld,%lld] %s", check->name, (long long)check->row,
                  (long long)check->col, check->fault);
    if (strcmp(check->fault, "was not written") == 0)
        ts_buf_printf(message, ", want %.9g", check->want);
    else if (strcmp(check->fault, "differs") == 0)
        ts_buf_printf(message, ": got %.9g, want %.9g, error %.3g > %.3g", check->got, check->want,
                      fabs(check->got - check->want), check->bound);
    else
        ts_buf_printf(message, ", holds %.9g", check->got);
}

bool tuner_trial_check(const tuner_trial *trial, const unsigned char *after, size_t from,
                       ts_buf *message, double *error) {
    slab_view view = {trial, after, from};
    *error = NAN;
    if (!check_bytes(&view, message)) return false;
    double worst = 0;
    for (size_t i = 0; i < trial->binding.tensor_count; i++) {
        const gen_tensor *t = &trial->binding.tensors[i];
        if (t->direction == GEN_IN || trial->offset[i] == SIZE_MAX) continue;
        tensor_check check = {.tensor = t, .name = t->name};
        if (!check_tensor(&view, i, &check)) {
            say_fault(&check, message);
            return false;
        }
        double relative = check.norm2 > 0 ? sqrt(check.error2 / check.norm2) : sqrt(check.error2);
        if (relative > worst) worst = relative;
        if (check.norm2 > 0 && relative > t->norm) {
            ts_buf_printf(message, "%s: relative error norm %.3g > %.3g", t->name, relative,
                          t->norm);
            *error = relative;
            return false;
        }
    }
    *error = worst;
    return true;
}
