/* Times decoding and preprocessing of one image: preprocess MODEL_DIR FILE THREADS RUNS. One JSON
 * object with the medians; the rows' sum lets the peer check that it computed the same. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/image/image.h"

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    enum { MOST_RUNS = 100 };
    double decode[MOST_RUNS], rest[MOST_RUNS], whole[MOST_RUNS], sum = 0;
    rt_processor processor;
    rt_pool *pool = NULL;
    ts_err err = {0};
    int runs = argc == 5 ? atoi(argv[4]) : 0;
    if (runs < 1 || runs > MOST_RUNS) {
        fprintf(stderr, "preprocess MODEL_DIR FILE THREADS RUNS\n");
        return 2;
    }
    if (rt_processor_read(argv[1], &processor, &err) != TS_STATUS_OK ||
        rt_pool_create(atoi(argv[3]), &pool, &err) != TS_STATUS_OK)
        goto failed;
    for (int run = 0; run < runs; run++) {
        rt_image image = {0};
        rt_grid grid;
        double begin = now_ms();
        if (rt_image_read(argv[2], NULL, &image, &err) != TS_STATUS_OK) goto failed;
        double decoded = now_ms();
        if (rt_processor_grid(&processor, image.width, image.height, 1, &grid, &err) !=
            TS_STATUS_OK)
            goto failed;
        size_t floats = rt_grid_rows(grid) * rt_processor_row_floats(&processor);
        float *rows = malloc(floats * sizeof *rows);
        if (!rows || rt_processor_image(&processor, grid, &image, pool, rows, &err) != TS_STATUS_OK)
            goto failed;
        double end = now_ms();
        decode[run] = decoded - begin, rest[run] = end - decoded, whole[run] = end - begin;
        sum = 0;
        for (size_t i = 0; i < floats; i++) sum += (double)rows[i];
        free(rows);
        rt_image_free(&image);
    }
    qsort(decode, (size_t)runs, sizeof *decode, by_value);
    qsort(rest, (size_t)runs, sizeof *rest, by_value);
    qsort(whole, (size_t)runs, sizeof *whole, by_value);
    printf("{\"threads\": %d, \"decode_ms\": %.2f, \"preprocess_ms\": %.2f, \"total_ms\": %.2f, "
           "\"sum\": %.4f}\n",
           rt_pool_threads(pool), decode[runs / 2], rest[runs / 2], whole[runs / 2], sum);
    rt_pool_destroy(pool);
    return 0;
failed:
    fprintf(stderr, "preprocess: %s\n", err.message);
    return 1;
}
