/* The page of --profile: one file without scripts or references, bars as inline SVG. A bar is as long
 * as the time that was measured; its dark part is the time that the device's limit allows at best.
 */
#include "profile.h"

#include <math.h>
#include <stdio.h>

static const char style[] =
    ":root{color-scheme:light dark;--page:#fff;--ink:#1c2330;--soft:#5c6675;--line:#dde2ea;--bar:#8ab4e8;"
    "--limit:#1d5fa8;--theirs:#d9a25f}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#14181f;--ink:#e8ecf2;--soft:#9aa5b5;--line:#2e3644;"
    "--bar:#4d7fba;--limit:#a9cdf8;--theirs:#c58a45}}\n"
    "body{background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .4rem}p{margin:.4rem 0}\n"
    ".soft,caption{color:var(--soft)}svg{width:100%;height:auto;display:block}\n"
    "text{fill:var(--ink);font-size:14px}text.soft{fill:var(--soft)}text.name{text-anchor:end}\n"
    ".bar{fill:var(--bar)}.limit{fill:var(--limit)}.theirs{fill:var(--theirs)}\n"
    ".key{display:inline-block;width:.9em;height:.9em;border-radius:2px;vertical-align:-.1em;margin:0 .3em 0 .8em}\n"
    ".totals{display:flex;flex-wrap:wrap;gap:.4rem 2.2rem;border:solid var(--line);border-width:1px 0;"
    "padding:.6rem 0;margin:1rem 0}.totals b{display:block;font-size:1.25rem}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;padding:.3rem 0}\n"
    "th,td{padding:.2rem .5rem;text-align:right;border-bottom:1px solid var(--line)}\n"
    "th:first-child,td:first-child{text-align:left}tr.layer td{font-weight:600}tr.part td:first-child{"
    "padding-left:1.6rem}\n";

/* Text from outside: the model's directory, the device's name. */
static void put_text(ts_buf *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<': ts_buf_printf(out, "&lt;"); break;
        case '>': ts_buf_printf(out, "&gt;"); break;
        case '&': ts_buf_printf(out, "&amp;"); break;
        case '"': ts_buf_printf(out, "&quot;"); break;
        default: ts_buf_append(out, text, 1);
        }
    }
}

static const struct {
    const char *part, *title;
} titles[] = {
    {"images", "images: read, resized"},
    {"upload", "to the device"},
    {"vision", "visual embedding"},
    {"embedding", "token embedding"},
    {"text", "text layers"},
    {"head", "head"},
    {"sampling", "sampling"},
    {"download", "from the device"},
    {"host", "host: all else"},
};

static const char *title_of(const char *part) {
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (strcmp(titles[i].part, part) == 0) return titles[i].title;
    return part;
}

/* ---- bars ---- */

enum { WIDTH = 900, NAME_WIDTH = 170, VALUE_WIDTH = 300, BAR_HEIGHT = 22, STEP = 30 };
static const double BAR_WIDTH = WIDTH - NAME_WIDTH - VALUE_WIDTH;

static void open_chart(ts_buf *out, size_t rows, const char *label) {
    ts_buf_printf(out, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"%s\">\n", WIDTH,
                  rows * STEP + 4, label);
}

static void put_rect(ts_buf *out, const char *class, size_t line, double width, int inset) {
    ts_buf_printf(out,
                  "<rect class=\"%s\" x=\"%d\" y=\"%zu\" width=\"%.2f\" height=\"%d\" rx=\"2\"/>\n",
                  class, NAME_WIDTH, line * STEP + 2 + (size_t)inset, fmax(width, 0.5),
                  BAR_HEIGHT - 2 * inset);
}

static void put_label(ts_buf *out, size_t line, const char *name) {
    ts_buf_printf(out, "<text class=\"name\" x=\"%d\" y=\"%zu\">%s</text>\n", NAME_WIDTH - 10,
                  line * STEP + 18, name);
}

/* `most_us` is as long as bars get, `whole_us` what shares are of. */
static void put_bar(ts_buf *out, size_t line, const rt_profile_row *row, const char *name,
                    double most_us, double whole_us) {
    double length = most_us > 0 ? BAR_WIDTH * row->us / most_us : 0,
           limit = profile_limit_share(row);
    put_label(out, line, name);
    put_rect(out, "bar", line, length, 0);
    if (!isnan(limit)) put_rect(out, "limit", line, length * fmin(limit, 1), 6);
    ts_buf_printf(out, "<text x=\"%.1f\" y=\"%zu\">%.1f %%<tspan class=\"soft\" dx=\"10\">%.3f ms",
                  NAME_WIDTH + length + 10, line * STEP + 18,
                  whole_us > 0 ? 100 * row->us / whole_us : 0, row->us * 1e-3);
    if (!isnan(limit)) ts_buf_printf(out, ", %.1f %% of limit", 100 * limit);
    ts_buf_printf(out, "</tspan></text>\n");
}

static double longest(const rt_profile_row *rows, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, rows[i].us);
    return most;
}

static void put_layers(const profile_report *r, ts_buf *out) {
    ts_buf_printf(out, "<h2>By layer</h2>\n");
    open_chart(out, r->layer_count, "time by layer");
    double most = longest(r->layers, r->layer_count);
    for (size_t i = 0; i < r->layer_count; i++) {
        char name[40];
        snprintf(name, sizeof name, "%.*s", (int)profile_layer_bytes(r->layers[i].part),
                 r->layers[i].part);
        put_bar(out, i, &r->layers[i], title_of(name), most, r->elapsed_us);
    }
    ts_buf_printf(out, "</svg>\n");
}

static bool is_sub_layer(const rt_profile_row *row, const char *layer) {
    size_t bytes = strlen(layer);
    return profile_layer_bytes(row->part) == bytes && strncmp(row->part, layer, bytes) == 0 &&
           row->part[bytes] == '/';
}

static void put_sub_layers(const profile_report *r, const char *layer, const char *heading,
                           ts_buf *out) {
    const rt_profile_row *sum = profile_layer(r, layer);
    size_t lines = 0;
    double most = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (!is_sub_layer(&r->rows[i], layer)) continue;
        lines++;
        most = fmax(most, r->rows[i].us);
    }
    if (lines == 0) return;
    ts_buf_printf(out, "<h2>%s</h2>\n<p class=\"soft\">Shares of its %.3f ms.</p>\n", heading,
                  sum->us * 1e-3);
    open_chart(out, lines, heading);
    lines = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (is_sub_layer(&r->rows[i], layer))
            put_bar(out, lines++, &r->rows[i], r->rows[i].part + strlen(layer) + 1, most, sum->us);
    }
    ts_buf_printf(out, "</svg>\n");
}

/* The report's figure beside this run's, and why. */
static void put_reason(const profile_report *r, ts_buf *out) {
    const rt_profile_row *vision = profile_layer(r, "vision");
    if (!r->sees) return;
    double ours = vision ? vision->us / r->elapsed_us : 0;
    const struct {
        const char *name, *class;
        double share;
    } bars[] = {{"the report", "theirs", PROFILE_REPORTED_SHARE}, {"this run", "bar", ours}};
    ts_buf_printf(out, "<h2>Share of the visual embedding</h2>\n");
    open_chart(out, 2, "share of the visual embedding");
    for (size_t i = 0; i < 2; i++) {
        put_label(out, i, bars[i].name);
        put_rect(out, bars[i].class, i, BAR_WIDTH * bars[i].share, 0);
        ts_buf_printf(out, "<text x=\"%.1f\" y=\"%zu\">%.1f %%</text>\n",
                      NAME_WIDTH + BAR_WIDTH * bars[i].share + 10, i * STEP + 18,
                      100 * bars[i].share);
    }
    ts_buf_printf(out, "</svg>\n<p>");
    for (const char *at = r->reason.data; *at; at++) {
        char text[2] = {*at, '\0'};
        if (*at != '\n')
            put_text(out, text);
        else if (at[1])
            ts_buf_printf(out, "</p>\n<p>");
    }
    ts_buf_printf(out, "</p>\n");
}

/* ---- the table ---- */

static void put_row(ts_buf *out, const rt_profile_row *row, const char *class, const char *name,
                    double elapsed_us) {
    double limit = profile_limit_share(row);
    ts_buf_printf(out, "<tr class=\"%s\"><td>%s<td>%lld<td>%.3f<td>%.1f %%<td>%.3f", class, name,
                  (long long)row->calls, row->us * 1e-3, 100 * row->us / elapsed_us,
                  row->step_us * 1e-3);
    if (isnan(limit))
        ts_buf_printf(out, "<td><td><td>\n");
    else
        ts_buf_printf(out, "<td>%.3f<td>%.3f<td>%.1f %%\n", row->flops * 1e-9, row->bytes * 1e-9,
                      100 * limit);
}

static void put_table(const profile_report *r, ts_buf *out) {
    ts_buf_printf(out, "<h2>All parts</h2>\n<table><caption>");
    if (isfinite(r->peaks.gflops)) ts_buf_printf(out, "Limit: %.1f GFLOP/s and ", r->peaks.gflops);
    ts_buf_printf(
        out,
        "%.1f GB/s, whichever takes longer, call by call; above 100 %% the data came from a cache. "
        "\"One token\": what of the time fell to passes over one token.</caption>\n"
        "<thead><tr><th>part<th>calls<th>ms<th>share<th>one token, ms<th>GFLOP<th>GB<th>of "
        "limit<tbody>\n",
        r->peaks.gbytes);
    for (size_t i = 0; i < r->layer_count; i++) {
        char name[40];
        snprintf(name, sizeof name, "%.*s", (int)profile_layer_bytes(r->layers[i].part),
                 r->layers[i].part);
        put_row(out, &r->layers[i], "layer", title_of(name), r->elapsed_us);
        for (size_t s = 0; s < r->count; s++)
            if (is_sub_layer(&r->rows[s], name))
                put_row(out, &r->rows[s], "part", r->rows[s].part + strlen(name) + 1,
                        r->elapsed_us);
    }
    ts_buf_printf(out, "</table>\n");
}

static void put_head(const profile_report *r, ts_buf *out) {
    ts_buf_printf(out,
                  "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n"
                  "<title>Profile of %s</title>\n<style>\n%s</style></head><body>\n"
                  "<h1>Where the time goes: %s</h1>\n<p class=\"soft\">",
                  r->info.model_type, style, r->info.model_type);
    put_text(out, r->model);
    ts_buf_printf(out, ", %d layers, %.1f MB of weights in %s, on ", r->info.layers,
                  (double)r->info.weight_bytes * 1e-6, ts_dtype_name(r->info.dtype));
    put_text(out, r->device);
    ts_buf_printf(out, " (%s)</p>\n<div class=\"totals\">", r->target);
    ts_buf_printf(out, "<span><b>%.3f ms</b> elapsed</span>", r->elapsed_us * 1e-3);
    ts_buf_printf(out, "<span><b>%zu</b> tokens of prompt</span>", r->prompt_tokens);
    if (r->patches > 0)
        ts_buf_printf(out, "<span><b>%lld</b> image patches</span>", (long long)r->patches);
    ts_buf_printf(
        out,
        "<span><b>%zu</b> new tokens</span></div>\n<p class=\"soft\">"
        "<span class=\"key\" style=\"background:var(--bar);margin-left:0\"></span>time measured"
        "<span class=\"key\" style=\"background:var(--limit)\"></span>of it, what the device's limit "
        "would take</p>\n",
        r->new_tokens);
}

void profile_page(const profile_report *r, ts_buf *out) {
    put_head(r, out);
    put_layers(r, out);
    put_sub_layers(r, "vision", "Visual embedding by sub-layer", out);
    put_sub_layers(r, "text", "Text layers by sub-layer", out);
    put_reason(r, out);
    put_table(r, out);
    ts_buf_printf(out, "</body></html>\n");
}
