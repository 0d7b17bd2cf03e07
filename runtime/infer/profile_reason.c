/* Why the vision tower's share of a run is what it is, beside the report's figure for the same model:
 * in sentences made from the numbers of this run.
 */
#include "profile.h"

#include <math.h>

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

static double sum_of(const profile_report *r, bool steps, bool flops) {
    double sum = 0;
    for (size_t i = 0; i < r->count; i++)
        sum += flops ? r->rows[i].flops : steps ? r->rows[i].step_us : r->rows[i].us;
    return sum;
}

static const rt_profile_row *find(const profile_report *r, const char *part) {
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->rows[i].part, part) == 0) return &r->rows[i];
    return NULL;
}

static void explain_arithmetic(profile_report *r, const rt_profile_row *vision) {
    double all = sum_of(r, false, true);
    if (all <= 0) return;
    ts_buf_printf(
        &r->reason,
        "Arithmetic: the tower does %.3f of %.3f GFLOP for %lld patches, so by FLOPs alone its share "
        "would be %.1f %%.\n",
        vision->flops * 1e-9, all * 1e-9, (long long)r->patches, percent(vision->flops, all));
}

static void explain_steps(profile_report *r, const rt_profile_row *vision) {
    double steps_us = sum_of(r, true, false);
    if (steps_us <= 0) return;
    ts_buf_printf(
        &r->reason,
        "Decoding: passes over one token took %.1f %% of the time; each reads %.1f MB of weights and "
        "state for little arithmetic. Without them the tower's share would be %.1f %%, and the more "
        "tokens are generated the smaller it gets.\n",
        percent(steps_us, r->elapsed_us), (double)r->info.step_bytes * 1e-6,
        percent(vision->us, r->elapsed_us - steps_us));
}

static void explain_attention(profile_report *r, const rt_profile_row *vision) {
    const rt_profile_row *attention = find(r, "vision/attention");
    if (!attention) return;
    ts_buf_printf(
        &r->reason,
        "Attention: one kernel a block, so no scores of patches by patches are written and read again; it "
        "takes %.1f %% of the tower's time.\n",
        percent(attention->us, vision->us));
}

static void explain_rest(profile_report *r) {
    const rt_profile_row *sampling = profile_layer(r, "sampling"), *host = profile_layer(r, "host"),
                         *images = profile_layer(r, "images");
    ts_buf_printf(
        &r->reason,
        "Around it: %.1f %% for reading and resizing images, %.1f %% for choosing tokens, %.1f %% on "
        "the host between launches. Model: %d text layers, %.1f MB of weights.\n"
        "What drives the share towards the report's: large images, few generated tokens, attention "
        "that writes its scores to memory.\n",
        percent(images ? images->us : 0, r->elapsed_us),
        percent(sampling ? sampling->us : 0, r->elapsed_us),
        percent(host ? host->us : 0, r->elapsed_us), r->info.layers,
        (double)r->info.weight_bytes * 1e-6);
}

void profile_explain(profile_report *r) {
    const rt_profile_row *vision = profile_layer(r, "vision");
    ts_buf_append(&r->reason, "", 0);
    if (sum_of(r, false, true) <= 0)
        ts_buf_printf(
            &r->reason,
            "The database does not say what its kernels do, so there are no limits: tune again.\n");
    if (!r->sees) return;
    if (!vision) {
        ts_buf_printf(&r->reason, "No image in this prompt: the vision tower did not run.\n");
        return;
    }
    ts_buf_printf(
        &r->reason,
        "The visual embedding takes %.1f %% of this run. The report, which profiled Qwen2-VL, has "
        "%.1f %%. Why they differ:\n",
        percent(vision->us, r->elapsed_us), 100 * PROFILE_REPORTED_SHARE);
    explain_arithmetic(r, vision);
    explain_steps(r, vision);
    explain_attention(r, vision);
    explain_rest(r);
}
