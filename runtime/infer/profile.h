/* What --profile found, for the table and for the page. */
#ifndef RUNTIME_INFER_PROFILE_H
#define RUNTIME_INFER_PROFILE_H

#include <string.h>

#include "../../db/base.h"
#include "infer.h"

/* The visual embedding's share of the time in the report on Qwen2-VL. */
#define PROFILE_REPORTED_SHARE 0.979

typedef struct profile_report {
    const char *model; /* directory as given */
    ts_model_info info;
    const char *device, *target;
    rt_peaks peaks;  /* gflops INFINITY: not known */
    bool sees;       /* a model of images */
    int64_t patches; /* of the prompt's media */
    size_t prompt_tokens, new_tokens;
    double elapsed_us;
    rt_profile_row *rows; /* "layer/sub-layer" or "layer" */
    size_t count;
    rt_profile_row *layers; /* sums by layer, in the same order */
    size_t layer_count;
    ts_buf reason; /* the vision tower's share and why; sentences, a line each */
} profile_report;

/* Bytes of the layer's name in "layer/sub-layer". */
size_t profile_layer_bytes(const char *part);
/* Sum of a layer; NULL: the run had none. */
const rt_profile_row *profile_layer(const profile_report *report, const char *name);
/* What its limit is of its time; NAN where nothing is known. */
double profile_limit_share(const rt_profile_row *row);

/* profile_reason.c: fills report->reason from the other members. */
void profile_explain(profile_report *report);
/* profile_page.c: the page in one piece, to `out`. */
void profile_page(const profile_report *report, ts_buf *out);

#endif
