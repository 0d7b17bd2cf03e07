/* Made-up weights, for timing a model whose checkpoint is not at hand: the distributions that Mamba
 * starts its training from, which keep activations finite over any depth.
 *
 * The host draws one block a tensor and the device copies it on, doubling, until the tensor is full:
 * a model of gigabytes costs the host a few megabytes and the time of the copies. A kernel that
 * draws on the device would have to be tuned, stored and shipped in every database, to run once. The
 * block's length has a large prime in it, so each row of a matrix starts elsewhere in the block and
 * no two rows of a published model are equal; the values are as incompressible as real ones.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "random.h"
#include "weights.h"

/* Elements. 8 keeps the copies 16-byte aligned; 65521 is prime and above the rows of any vocabulary
 * here. */
enum { BLOCK = 8 * 65521 };

/* Steps that training starts from, in the published configurations (time_step_min, _max). */
static const double SHORTEST_STEP = 1e-3, LONGEST_STEP = 1e-1;

/* A seed of its own for each tensor, by name: the order of filling does not matter. */
static uint64_t seed_of(uint64_t seed, const char *prefix, const char *name) {
    ts_hash hash;
    char hex[TS_HASH_HEX];
    ts_hash_init(&hash);
    ts_hash_part(&hash, &seed, sizeof seed);
    ts_hash_text(&hash, prefix);
    ts_hash_text(&hash, name);
    ts_hash_final(&hash, hex);
    hex[16] = '\0';
    return strtoull(hex, NULL, 16);
}

/* 1/sqrt(fan): sums of `fan` products with inputs of unit size stay of unit size. */
static double bound_of(const rt_weight *weight, const rt_dim *dims, int64_t columns) {
    int64_t sizes[RT_TENSOR_RANK];
    double fan = 1;
    if (!weight->fan) return 1 / sqrt((double)columns);
    int count = rt_dims_shape(dims, weight->fan, sizes, RT_TENSOR_RANK);
    assert(count > 0); /* the table is ours */
    for (int i = 0; i < count; i++) fan *= (double)sizes[i];
    return 1 / sqrt(fan);
}

static double value(rt_weight_init init, double u, double bound, size_t column) {
    switch (init) {
    case RT_INIT_UNIFORM: return (2 * u - 1) * bound;
    case RT_INIT_ONES: return 1;
    case RT_INIT_STATES: return log((double)column + 1);
    case RT_INIT_TIME_STEP:
        /* log(exp(step) - 1) is what softplus turns back into the step. */
        return log(expm1(SHORTEST_STEP * pow(LONGEST_STEP / SHORTEST_STEP, u)));
    }
    return 0;
}

/* Copies the first `filled` elements on until all `count` are there. */
static ts_status repeat(ts_device *device, char *place, size_t element, size_t filled, size_t count,
                        ts_err *err) {
    while (filled < count) {
        size_t more = count - filled < filled ? count - filled : filled;
        TS_TRY(
            device->ops->copy(device, NULL, place + filled * element, place, more * element, err));
        filled += more;
    }
    return TS_STATUS_OK;
}

ts_status rt_weight_make_up(const rt_weight *weight, const char *prefix, void *place,
                            const rt_upload *upload, ts_err *err) {
    int64_t shape[RT_TENSOR_RANK];
    int rank = rt_dims_shape(upload->dims, weight->shape, shape, RT_TENSOR_RANK);
    rt_form form = rt_form_of(weight, rank, shape, upload->dtype);
    /* Rows' padding is filled like the rest: kernels do not look at it. */
    size_t count = (size_t)(form.rows * form.pitch) * (weight->mate ? 2 : 1), columns = (size_t)shape[rank - 1];
    size_t block = count < BLOCK ? count : BLOCK, element = rt_dtype_bytes(form.dtype);
    if (weight->init == RT_INIT_STATES) block -= block % columns; /* copies keep the columns */
    uint64_t seed = seed_of(upload->seed, prefix, weight->name);
    double bound = bound_of(weight, upload->dims, shape[rank - 1]);
    float *values = malloc(block * sizeof *values);
    void *stored = malloc(block * element);
    ts_status status = TS_STATUS_OK;
    if (!values || !stored) {
        status = ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "tensor %s%s: block of random numbers",
                         prefix, weight->name);
        goto done;
    }
    for (size_t i = 0; i < block; i++)
        values[i] = (float)value(weight->init, rt_uniform(seed, i), bound, i % columns);
    if (weight->kind == RT_FLOATS_DECAY) rt_weight_decay(values, block);
    rt_from_fp32(form.dtype, values, block, stored);
    status = upload->device->ops->upload(upload->device, NULL, place, stored, block * element, err);
    if (status == TS_STATUS_OK) status = repeat(upload->device, place, element, block, count, err);
done:
    free(values);
    free(stored);
    return status;
}
