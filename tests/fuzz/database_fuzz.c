/* A database file. Its rows are hashed, so a mutated row never gets past the reader; what a row
 * brings is therefore fuzzed as an input of its own: '{' starts launch data, "\x7f" "ELF" the object
 * of a CPU kernel, "= " a problem's text, anything else is the file. */
#include <string.h>

#include "db/store.h"
#include "fuzz.h"
#include "runtime/elf_image.h"
#include "runtime/launch_data.h"
#include "runtime/problem_text.h"

static void read_file(const uint8_t *data, size_t size) {
    db_image image = {0};
    ts_err err = {0};
    ts_status status = db_image_load(fuzz_file("t.db", data, size), NULL, &image, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return;
    for (size_t i = 0; i < image.kernel_count; i++) {
        const db_kernel *kernel = &image.kernels[i];
        fuzz_touch(kernel->blob, kernel->blob_bytes);
        fuzz_touch(kernel->launch, strlen(kernel->launch) + 1);
    }
    for (size_t i = 0; i < image.winner_count; i++) {
        const db_winner_row *row = &image.winners[i];
        fuzz_require(row->kernel >= image.kernels &&
                         row->kernel < image.kernels + image.kernel_count,
                     "a winner points at a kernel of its image");
        fuzz_touch(row->winner.problem, strlen(row->winner.problem) + 1);
    }
    db_image_free(&image);
}

/* Evaluates everything for two sets of extents. */
static void evaluate(const rt_launch_data *data) {
    static const int64_t extents[] = {1, INT32_MAX};
    for (size_t k = 0; k < 2; k++) {
        rt_values values = {.sm_count = 132};
        int64_t value;
        ts_err err = {0};
        for (size_t i = 0; i < data->extent_count; i++) values.extents[i] = extents[k];
        fuzz_check_error(
            rt_formula_eval(data, data->workspace, &values, INT64_MAX, "workspace", &value, &err),
            &err);
        for (size_t i = 0; i < data->step_count; i++)
            for (size_t axis = 0; axis < 3; axis++)
                fuzz_check_error(rt_formula_eval(data, data->steps[i].grid[axis], &values,
                                                 INT32_MAX, "grid", &value, &err),
                                 &err);
        for (size_t i = 0; i < data->step_count; i++)
            for (size_t m = 0; m < data->steps[i].map_count; m++)
                fuzz_check_error(rt_formula_eval(data, data->steps[i].maps[m].rows, &values,
                                                 UINT32_MAX, "rows of a map", &value, &err),
                                 &err);
    }
    unsigned char args[4096];
    rt_values values;
    ts_err err = {0};
    memset(args, 0x11, sizeof args);
    fuzz_check_error(rt_launch_data_values(data, args, 132, &values, &err), &err);
}

static void read_launch_data(const uint8_t *data, size_t size) {
    char text[1 << 14];
    static rt_launch_data launch;
    ts_err err = {0};
    if (size >= sizeof text) return;
    memcpy(text, data, size);
    text[size] = '\0';
    ts_status status = rt_launch_data_parse(text, &launch, &err);
    fuzz_check_error(status, &err);
    if (status == TS_STATUS_OK) evaluate(&launch);
}

/* Nothing of it is called: code that passed its hash is trusted, its container is not. */
static void read_object(const uint8_t *data, size_t size) {
    rt_image *image = NULL;
    ts_err err = {0};
    ts_status status = rt_image_load(data, size, &image, &err);
    fuzz_check_error(status, &err);
    if (status != TS_STATUS_OK) return;
    rt_image_function(image, "axpy");
    rt_image_function(image, "");
    rt_image_unload(image);
}

static void read_problem(const uint8_t *data, size_t size) {
    char text[1 << 12];
    rt_problem problem;
    ts_err err = {0};
    if (size >= sizeof text) return;
    memcpy(text, data, size);
    text[size] = '\0';
    fuzz_check_error(rt_problem_parse(text, &problem, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= 1 && data[0] == '{')
        read_launch_data(data, size);
    else if (size >= 4 && memcmp(data,
                                 "\x7f"
                                 "ELF",
                                 4) == 0)
        read_object(data, size);
    else if (size >= 2 && memcmp(data, "= ", 2) == 0)
        read_problem(data + 2, size - 2);
    else
        read_file(data, size);
    return 0;
}
