/* How long a database takes to open and a kernel to find, and that finding allocates and locks
 * nothing. `lookup [--check] [--device NAME] DB`: figures on standard output; exit 1 where an
 * allocation or a lock was counted and, with --check, where a bound is missed.
 *
 * The linker sends malloc, calloc, realloc and pthread_mutex_lock of everything that is linked in
 * through the counters below (-Wl,--wrap, see the Makefile).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/store.h"
#include "runtime/tunesmith_kernels.h"

enum { OPENS = 31, SWEEPS = 2000, WARM_SWEEPS = 20, MOST_TEXTS = 512 };
static const double OPEN_MS = 5, FIND_NS = 100;

/* ---- counting ---- */

static atomic_long allocations, locks;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

void *__wrap_malloc(size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    return __real_realloc(old, bytes);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    atomic_fetch_add(&locks, 1);
    return __real_pthread_mutex_lock(mutex);
}

/* ---- timing ---- */

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static int die(const char *what, const ts_err *err) {
    fprintf(stderr, "lookup: %s: %s\n", what, err->message);
    return 2;
}

/* ---- the figures ---- */

static ts_status time_opening(ts_device *device, const char *path, double *out_ms, ts_err *err) {
    double times[OPENS];
    for (int i = 0; i < OPENS; i++) {
        ts_kernels *kernels = NULL;
        double begin = now_ns();
        ts_status status = ts_kernels_open(device, path, &kernels, err);
        times[i] = 1e-6 * (now_ns() - begin);
        if (status != TS_STATUS_OK) return status;
        ts_kernels_close(kernels);
    }
    *out_ms = median(times, OPENS);
    return TS_STATUS_OK;
}

/* Texts of the image that this device finds; each is found once, which loads its kernel. */
static size_t findable(const db_image *image, ts_kernels *kernels, const char **texts) {
    size_t count = 0;
    for (size_t i = 0; i < image->winner_count && count < MOST_TEXTS; i++) {
        const ts_kernel *kernel;
        const char *text = image->winners[i].winner.problem;
        if (ts_kernel_find(kernels, text, &kernel, NULL) == TS_STATUS_OK) texts[count++] = text;
    }
    return count;
}

static double time_finding(ts_kernels *kernels, const char *const *texts, size_t count) {
    static double times[SWEEPS];
    const ts_kernel *volatile sink = NULL;
    for (int s = 0; s < WARM_SWEEPS + SWEEPS; s++) {
        double begin = now_ns();
        for (size_t i = 0; i < count; i++) {
            const ts_kernel *kernel = NULL;
            ts_kernel_find(kernels, texts[i], &kernel, NULL);
            sink = kernel;
        }
        if (s >= WARM_SWEEPS) times[s - WARM_SWEEPS] = (now_ns() - begin) / (double)count;
    }
    (void)sink;
    return median(times, SWEEPS);
}

int main(int argc, char **argv) {
    static const char *texts[MOST_TEXTS];
    const char *path = NULL, *name = "cpu";
    bool check = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0)
            check = true;
        else if (strcmp(argv[i], "--device") == 0 && i + 1 < argc)
            name = argv[++i];
        else
            path = argv[i];
    }
    ts_err err = {0};
    ts_device *device = NULL;
    ts_kernels *kernels = NULL;
    db_image image = {0};
    double open_ms;
    if (!path) return fputs("lookup [--check] [--device NAME] DB\n", stderr), 2;
    if (ts_device_open(name, 1, &device, &err)) return die("device", &err);
    if (time_opening(device, path, &open_ms, &err)) return die(path, &err);
    if (ts_kernels_open(device, path, &kernels, &err)) return die(path, &err);
    if (db_image_load(path, NULL, &image, &err)) return die(path, &err);
    size_t count = findable(&image, kernels, texts);
    if (count == 0) return fprintf(stderr, "lookup: nothing in %s for this device\n", path), 2;
    long allocated = allocations, locked = locks;
    double find_ns = time_finding(kernels, texts, count);
    allocated = allocations - allocated;
    locked = locks - locked;
    printf("open and index: %.2f ms (median of %d, bound %.0f)\n", open_ms, OPENS, OPEN_MS);
    printf("find: %.1f ns (median of %d sweeps over %zu problems, bound %.0f)\n", find_ns, SWEEPS,
           count, FIND_NS);
    printf("allocations while finding: %ld, locks: %ld\n", allocated, locked);
    ts_kernels_close(kernels);
    ts_device_close(device);
    db_image_free(&image);
    if (allocated || locked) return 1;
    return check && (open_ms > OPEN_MS || find_ns > FIND_NS);
}
