/* From process start to the first kernel done, beside opening the device alone, in one run:
 * `start [--device cuda|cpu] [--runs N] DB`. Two kinds of children take turns: one gets the device
 * (CUDA: cuInit and the primary context, by the driver alone), the other opens the library's device
 * and DB, finds a norm kernel, launches it and waits. Prints both medians and their difference; exit
 * 1 if that is above the bound on a GPU.
 */
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "db/store.h"
#include "runtime/device.h"
#include "templates/norm/args.h"

enum { DEFAULT_RUNS = 21, MOST_RUNS = 1001, BUFFER_BYTES = 1 << 20 };
static const double BOUND_MS = 50;

static int die(const char *what, const char *why) {
    fprintf(stderr, "start: %s: %s\n", what, why);
    return 2;
}

/* ---- the children ---- */

/* Done: told before anything is closed, which is not part of starting. */
static int done(void) {
    bool told = write(STDOUT_FILENO, "k", 1) == 1;
    _exit(told ? 0 : 2);
}

static int context_alone(const char *device) {
    ts_device *cpu = NULL;
    ts_err err = {0};
    if (strcmp(device, "cpu") == 0)
        return ts_device_open(device, 0, &cpu, &err) ? die("device", err.message) : done();
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!driver) return die("driver", dlerror());
    int (*init)(unsigned), (*get)(int *, int), (*retain)(void **, int);
    *(void **)&init = dlsym(driver, "cuInit");
    *(void **)&get = dlsym(driver, "cuDeviceGet");
    *(void **)&retain = dlsym(driver, "cuDevicePrimaryCtxRetain");
    int id;
    void *context;
    if (!init || !get || !retain || init(0) || get(&id, 0) || retain(&context, id))
        return die("driver", "no context");
    return done();
}

static ts_status launch(ts_device *device, const ts_kernel *kernel, ts_err *err) {
    void *memory[5] = {NULL}, *stream = NULL;
    for (int i = 0; i < 5; i++) {
        TS_TRY(device->ops->alloc(device, BUFFER_BYTES, &memory[i], err));
        TS_TRY(device->ops->fill(device, NULL, memory[i], 0, BUFFER_BYTES, err));
    }
    struct norm_args args = {.workspace = memory[0],
                             .x = memory[1],
                             .delta = memory[2],
                             .weight = memory[3],
                             .out = memory[4],
                             .m = 1,
                             .d = 256,
                             .x_pitch = 256,
                             .delta_pitch = 256,
                             .out_pitch = 256,
                             .eps = 1e-5f};
    if (ts_kernel_workspace_bytes(kernel, &args) > BUFFER_BYTES)
        return ts_fail(err, TS_STATUS_UNSUPPORTED, "more workspace than this program has");
    TS_TRY(ts_kernel_launch(kernel, stream, &args, sizeof args, err));
    return device->ops->sync(device, stream, err);
}

static int first_kernel(const char *name, const char *path, const char *problem) {
    ts_device *device = NULL;
    ts_kernels *kernels = NULL;
    const ts_kernel *kernel = NULL;
    ts_err err = {0};
    if (ts_device_open(name, 0, &device, &err) || ts_kernels_open(device, path, &kernels, &err) ||
        ts_kernel_find(kernels, problem, &kernel, &err) || launch(device, kernel, &err))
        return die("first kernel", err.message);
    return done();
}

/* ---- the parent ---- */

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Milliseconds until the child says it is done; below 0 if it fails. */
static double time_child(char **argv) {
    extern char **environ;
    int ends[2], status = 0;
    char byte;
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0) return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    double begin = now_ms();
    int failed = posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environ);
    close(ends[1]);
    bool told = !failed && read(ends[0], &byte, 1) == 1;
    double elapsed = now_ms() - begin;
    close(ends[0]);
    posix_spawn_file_actions_destroy(&actions);
    if (!failed) waitpid(child, &status, 0);
    return told && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? elapsed : -1;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* A problem of DB that this program can launch: rows of 256 of any type. The text's extents need not
 * be tuned. */
static bool pick_problem(const char *path, char *out, size_t bytes) {
    db_image image = {0};
    bool found = false;
    if (db_image_load(path, NULL, &image, NULL) != TS_STATUS_OK) return false;
    for (size_t i = 0; i < image.winner_count && !found; i++) {
        const db_kernel *kernel = image.winners[i].kernel;
        found = strcmp(kernel->family, "norm") == 0;
        if (found) snprintf(out, bytes, "norm m=1 d=256 %s", kernel->spec);
    }
    db_image_free(&image);
    return found;
}

static int compare_starts(char *self, char *device, char *path, int runs) {
    static double alone[MOST_RUNS], whole[MOST_RUNS];
    char problem[512];
    if (!pick_problem(path, problem, sizeof problem)) return die(path, "holds no norm kernel");
    char *context[] = {self, "--child", "context", device, NULL};
    char *kernel[] = {self, "--child", "kernel", device, path, problem, NULL};
    if (time_child(context) < 0 || time_child(kernel) < 0) return 2; /* and files are cached */
    for (int i = 0; i < runs; i++) {
        alone[i] = time_child(context);
        whole[i] = time_child(kernel);
        if (alone[i] < 0 || whole[i] < 0) return 2;
    }
    double a = median(alone, runs), w = median(whole, runs);
    bool is_cpu = strcmp(device, "cpu") == 0;
    printf("device alone: %.1f ms, first kernel done: %.1f ms (medians of %d, %s)\n", a, w, runs,
           problem);
    printf("difference: %.1f ms (bound %.0f)\n", w - a, BOUND_MS);
    return !is_cpu && w - a > BOUND_MS;
}

int main(int argc, char **argv) {
    char *device = "cuda", *path = NULL;
    int runs = DEFAULT_RUNS;
    if (argc >= 4 && strcmp(argv[1], "--child") == 0) {
        if (strcmp(argv[2], "context") == 0) return context_alone(argv[3]);
        return argc == 6 ? first_kernel(argv[3], argv[4], argv[5]) : 2;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--device") == 0 && i + 1 < argc)
            device = argv[++i];
        else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            runs = atoi(argv[++i]);
        else
            path = argv[i];
    }
    if (!path || runs < 1 || runs > MOST_RUNS)
        return die("usage", "start [--device cuda|cpu] [--runs N] DB");
    return compare_starts(argv[0], device, path, runs);
}
