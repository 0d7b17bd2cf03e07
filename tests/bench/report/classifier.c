/* The report's attention classifier, unfused and fused (network.h), on the digits of a fixture:
 *
 *     classifier --db FILE [--device NAME] [--batch N] [--runs N] FIXTURE_DIR
 *     classifier --problems [--batch N]
 *
 * The first form runs both networks in turns over all digits and prints one JSON object: accuracy,
 * median time and what the logits are off by. It fails where they are off by more than they may be.
 * The second prints what the tuner has to know, one problem a line. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "network.h"
#include "runtime/model/safetensors.h"

enum { MOST_RUNS = 100, WARM_RUNS = 2 };

/* What logits may differ by: from the reference's, and of one form from the other's. */
static const double reference_bound = 1e-4, form_bound = 1e-5;

typedef struct options {
    const char *db, *device, *dir;
    int32_t batch, runs;
    bool problems;
} options;

typedef struct digits {
    float *pixels; /* [count, TOKENS * FEATURES] in 0..1 */
    uint8_t *labels;
    float *expected; /* the reference's logits [count, CLASSES] */
    int32_t count;
} digits;

typedef struct result {
    double ms[MOST_RUNS], accuracy, error;
    float *logits;
} result;

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

/* ---- input ---- */

/* A file of unsigned bytes in IDX form with `item` bytes an item. */
static ts_status read_idx(const char *dir, const char *name, int rank, size_t item, ts_buf *out,
                          int32_t *count, ts_err *err) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    TS_TRY(ts_file_read(path, out, err));
    const unsigned char *b = (const unsigned char *)out->data;
    size_t header = 4 + 4 * (size_t)rank;
    if (out->bytes < header || b[0] || b[1] || b[2] != 8 || b[3] != rank ||
        (out->bytes - header) % item != 0)
        return ts_fail(err, TS_STATUS_CORRUPT, "%s: no IDX file of %d dimensions", path, rank);
    *count = (int32_t)((out->bytes - header) / item);
    memmove(out->data, out->data + header, out->bytes - header);
    return TS_STATUS_OK;
}

static ts_status take_pixels(digits *d, const ts_buf *images, const ts_buf *labels,
                             const rt_tensor *expected, ts_err *err) {
    size_t pixels = (size_t)d->count * TOKENS * FEATURES;
    TS_TRY(rt_tensor_check(expected, 2, (int64_t[]){d->count, CLASSES}, err));
    d->pixels = malloc(pixels * sizeof *d->pixels);
    d->labels = malloc((size_t)d->count);
    d->expected = malloc(expected->bytes);
    if (!d->pixels || !d->labels || !d->expected)
        return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "%d digits", d->count);
    for (size_t i = 0; i < pixels; i++) d->pixels[i] = (float)(unsigned char)images->data[i] / 255;
    memcpy(d->labels, labels->data, (size_t)d->count);
    memcpy(d->expected, expected->data, expected->bytes);
    return TS_STATUS_OK;
}

static ts_status read_digits(digits *d, const char *dir, ts_err *err) {
    ts_buf images = {0}, labels = {0};
    rt_tensors *set = NULL;
    char path[512];
    int32_t label_count = 0;
    ts_status status = read_idx(dir, "test_images.idx3", 3, TOKENS * FEATURES, &images, &d->count,
                                err);
    if (status == TS_STATUS_OK)
        status = read_idx(dir, "test_labels.idx1", 1, 1, &labels, &label_count, err);
    if (status == TS_STATUS_OK && (label_count != d->count || d->count == 0))
        status = ts_fail(err, TS_STATUS_CORRUPT, "%s: %d images, %d labels", dir, d->count,
                         label_count);
    snprintf(path, sizeof path, "%s/expected.safetensors", dir);
    if (status == TS_STATUS_OK) status = rt_tensors_open(path, &set, err);
    const rt_tensor *expected = set ? rt_tensors_find(set, "logits") : NULL;
    if (status == TS_STATUS_OK)
        status = expected ? take_pixels(d, &images, &labels, expected, err)
                          : ts_fail(err, TS_STATUS_NOT_FOUND, "%s: no logits", path);
    rt_tensors_close(set);
    ts_buf_free(&images), ts_buf_free(&labels);
    return status;
}

/* ---- measurement ---- */

static ts_status run_once(network *net, int which, double *ms, ts_err *err) {
    double begin = now_ms();
    TS_TRY(network_run(net, which, err));
    TS_TRY(net->device->ops->sync(net->device, NULL, err));
    *ms = now_ms() - begin;
    return TS_STATUS_OK;
}

/* The forms take turns, and who goes first takes turns too. */
static ts_status measure(network *net, int32_t runs, result *results, ts_err *err) {
    size_t bytes = (size_t)net->digits * CLASSES * sizeof(float);
    for (int32_t run = -WARM_RUNS; run < runs; run++)
        for (int turn = 0; turn < FORMS; turn++) {
            int which = (run & 1) ^ turn;
            double ms;
            TS_TRY(run_once(net, which, &ms, err));
            if (run >= 0) {
                results[which].ms[run] = ms;
                continue;
            }
            TS_TRY(net->device->ops->download(net->device, NULL, results[which].logits, net->logits,
                                              bytes, err));
        }
    return TS_STATUS_OK;
}

static double distance(const float *a, const float *b, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) most = isnan(d) ? INFINITY : d;
    }
    return most;
}

static double accuracy(const float *logits, const digits *d) {
    int32_t right = 0;
    for (int32_t i = 0; i < d->count; i++) {
        const float *row = logits + (size_t)i * CLASSES;
        int best = 0;
        for (int c = 1; c < CLASSES; c++) best = row[c] > row[best] ? c : best;
        right += best == d->labels[i];
    }
    return (double)right / d->count;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int32_t count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* ---- output ---- */

static void print(const options *o, const network *net, result *r, double apart) {
    double ms[FORMS];
    printf("{\"device\":\"%s\",\"target\":\"%s\",\"digits\":%d,\"batch\":%d,\"runs\":%d",
           net->device->info.name, net->device->info.target, net->digits, net->batch, o->runs);
    for (int which = 0; which < FORMS; which++) {
        ms[which] = median(r[which].ms, o->runs);
        printf(",\"%s\":{\"ms\":%.4f,\"least_ms\":%.4f,\"most_ms\":%.4f,\"launches\":%d,"
               "\"accuracy\":%.4f,\"logits_off_by\":%.3g}",
               form_names[which], ms[which], r[which].ms[0], r[which].ms[o->runs - 1],
               net->forms[which].count, r[which].accuracy, r[which].error);
    }
    printf(",\"ratio\":%.3f,\"forms_differ_by\":%.3g}\n", ms[UNFUSED] / ms[FUSED], apart);
}

/* Everything after the device is open. */
static ts_status classify(const options *o, ts_device *device, ts_kernels *kernels, network *net,
                          digits *d, result *r, ts_err *err) {
    char path[512];
    TS_TRY(read_digits(d, o->dir, err));
    size_t count = (size_t)d->count * CLASSES;
    if (d->count % o->batch != 0)
        return ts_fail(err, TS_STATUS_INVALID_ARGUMENT, "--batch %d does not divide %d digits",
                       o->batch, d->count);
    snprintf(path, sizeof path, "%s/model.safetensors", o->dir);
    TS_TRY(network_open(net, device, kernels, path, d->pixels, d->count, o->batch, err));
    for (int which = 0; which < FORMS; which++)
        if (!(r[which].logits = calloc(count, sizeof(float))))
            return ts_fail(err, TS_STATUS_OUT_OF_MEMORY, "logits");
    TS_TRY(measure(net, o->runs, r, err));
    for (int which = 0; which < FORMS; which++) {
        r[which].accuracy = accuracy(r[which].logits, d);
        r[which].error = distance(r[which].logits, d->expected, count);
        if (r[which].error > reference_bound)
            return ts_fail(err, TS_STATUS_CORRUPT, "%s: logits are off by %g, %g is allowed",
                           form_names[which], r[which].error, reference_bound);
    }
    double apart = distance(r[UNFUSED].logits, r[FUSED].logits, count);
    if (apart > form_bound)
        return ts_fail(err, TS_STATUS_CORRUPT, "the forms differ by %g, %g is allowed", apart,
                       form_bound);
    print(o, net, r, apart);
    return TS_STATUS_OK;
}

static ts_status run(const options *o, ts_err *err) {
    ts_device *device = NULL;
    ts_kernels *kernels = NULL;
    network net = {0};
    digits d = {0};
    result r[FORMS] = {0};
    ts_status status = ts_device_open(o->device, 0, &device, err);
    if (status == TS_STATUS_OK) status = ts_kernels_open(device, o->db, &kernels, err);
    if (status == TS_STATUS_OK) status = classify(o, device, kernels, &net, &d, r, err);
    network_close(&net);
    ts_kernels_close(kernels), ts_device_close(device);
    for (int which = 0; which < FORMS; which++) free(r[which].logits);
    free(d.pixels), free(d.labels), free(d.expected);
    return status;
}

static void print_problems(int32_t batch) {
    network net;
    network_describe(&net, batch);
    for (int which = 0; which < FORMS; which++)
        for (int i = 0; i < net.forms[which].count; i++) puts(net.forms[which].steps[i].problem);
}

static bool parse(int argc, char **argv, options *o) {
    static const struct option table[] = {
        {"db", required_argument, NULL, 'd'},    {"device", required_argument, NULL, 'g'},
        {"batch", required_argument, NULL, 'b'}, {"runs", required_argument, NULL, 'r'},
        {"problems", no_argument, NULL, 'p'},    {0},
    };
    *o = (options){.device = "auto", .batch = 100, .runs = 15};
    for (int found; (found = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (found) {
        case 'd': o->db = optarg; break;
        case 'g': o->device = optarg; break;
        case 'b': o->batch = atoi(optarg); break;
        case 'r': o->runs = atoi(optarg); break;
        case 'p': o->problems = true; break;
        default: return false;
        }
    }
    o->dir = argv[optind];
    return o->batch > 0 && o->runs > 0 && o->runs <= MOST_RUNS &&
           argc - optind == (o->problems ? 0 : 1);
}

int main(int argc, char **argv) {
    options o;
    ts_err err = {0};
    if (!parse(argc, argv, &o)) {
        fprintf(stderr,
                "classifier --db FILE [--device NAME] [--batch N] [--runs 1..%d] DIR\n"
                "classifier --problems [--batch N]\n",
                MOST_RUNS);
        return 2;
    }
    if (o.problems) {
        print_problems(o.batch);
        return 0;
    }
    if (run(&o, &err) == TS_STATUS_OK) return 0;
    fprintf(stderr, "classifier: %s\n", err.message);
    return err.status == TS_STATUS_NO_DEVICE ? 3 : 1;
}
