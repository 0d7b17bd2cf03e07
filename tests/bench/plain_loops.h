/* Plain C loops for the CPU benchmark, in fp32, on as many threads as OpenMP is set to. `args` is the family's args struct; the
 * loop's two numbers are what it needs of the specialization. */
#ifndef TESTS_BENCH_PLAIN_LOOPS_H
#define TESTS_BENCH_PLAIN_LOOPS_H

#include <stdint.h>

#include "../../templates/causal_conv1d/args.h"
#include "../../templates/gemm/args.h"
#include "../../templates/gemv/args.h"
#include "../../templates/sdpa/args.h"
#include "../../templates/selective_scan/args.h"
#include "../../templates/selective_scan_step/args.h"

typedef void plain_loop(const void *args, int p, int q);

plain_loop loop_scan;      /* n states */
plain_loop loop_scan_step; /* n states */
plain_loop loop_conv;      /* taps */
plain_loop loop_sdpa;      /* head_dim, causal */
plain_loop loop_gemm;
plain_loop loop_gemv;

#endif
