#!/usr/bin/python3
"""Draws the report page from what collect.py wrote: page.py FIGURES.json PAGE.html. One file that needs nothing else; charts are
SVG by matplotlib (Debian: python3-matplotlib). A figure that is missing is an error: no page is written then.
"""
import html
import io
import itertools
import json
import pathlib
import statistics
import sys

# What the report says.
REPORT_MEMORY_MB, REPORT_SAVED_MB = 1747.43, 6.14
REPORT_ACCURACY = {"separate": 65.19, "fused": 70.06}
BLUE, ORANGE = "#2b6cb0", "#c05621"
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1,h2{line-height:1.2}h2{margin-top:2.5rem}table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}
tr.theirs{color:#777}figure{margin:1rem 0}svg{max-width:100%;height:auto}.note{color:#555;max-width:48rem}"""


class Missing(Exception):
    """A figure that is not in the file."""


def get(where, *path):
    for key in path:
        try:
            where = where[key]
        except (KeyError, IndexError, TypeError):
            raise Missing("/".join(map(str, path))) from None
    return where


def some(rows, what):
    if not rows:
        raise Missing(what)
    return rows


# ---- HTML ----

def table(heads, rows, theirs=()):
    """Rows of text; `theirs` are rows of the report, in grey."""
    def line(cells, tag, kind=""):
        return f"<tr{kind}>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"
    return "<table>" + line(heads, "th") + "".join(line(row, "td") for row in rows) + \
        "".join(line(row, "td", ' class="theirs"') for row in theirs) + "</table>"


def note(text):
    return f'<p class="note">{html.escape(text)}</p>'


def megabytes(count):
    return f"{count / 1e6:,.2f}"


def draw(paint, width, height):
    """A chart as SVG. matplotlib is loaded last, so that missing figures are told without it."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "report", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    from matplotlib import pyplot
    chart, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    paint(axes)
    out = io.StringIO()
    chart.savefig(out, format="svg", metadata={"Date": None})
    pyplot.close(chart)
    text = out.getvalue()
    return f"<figure>{text[text.index('<svg'):]}</figure>"


def bars(names, shares, title):
    def paint(axes):
        drawn = axes.barh(names, [100 * share for share in shares], color=BLUE)
        axes.bar_label(drawn, fmt="%.1f %%", padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_title(title, loc="left")
        axes.set_xlabel("share of the time, %")
    return draw(paint, 8, 0.8 + 0.32 * len(names))


# ---- sections: each takes all figures and gives HTML ----

def memory_section(figures):
    rows, saved = [], []
    for device in get(figures, "devices"):
        totals = []
        for row in some(get(device, "memory"), "memory"):
            parts = [get(row, f"{part}_bytes") for part in ("weight", "state", "work")]
            totals.append(sum(parts))
            rows.append([f"{get(row, 'device')}, {get(row, 'dtype')}", *map(megabytes, parts), megabytes(totals[-1]),
                         megabytes(get(row, "held_bytes")), f"{get(row, 'ms'):.2f}"])
        first, last = totals[0], totals[-1]
        saved.append(f"{get(device, 'device')}: {megabytes(first - last)} MB of {megabytes(first)} saved ({1 - last / first:.1%}).")
    share = REPORT_SAVED_MB / REPORT_MEMORY_MB
    return "<h2>Table 1: memory and time in mixed precision</h2>" + table(
        ["Mamba-130M, 2 sequences of 32", "weights MB", "state MB", "activations MB", "planned MB", "held MB", "time ms"], rows,
        [["the report, full precision", "", "", "", "", f"{REPORT_MEMORY_MB:,.2f}", ""],
         ["the report, mixed precision", "", "", "", "", f"{REPORT_MEMORY_MB - REPORT_SAVED_MB:,.2f}", ""]]) + note(
        " ".join(saved) + f" The report saved {REPORT_SAVED_MB} MB of {REPORT_MEMORY_MB} ({share:.2%}). Here mixed precision stores the "
        "embedding and the five big matrices of a layer in 16 bits; norms, scan, states' sums and logits stay fp32.") + note(
        "Random weights; one inference pass over both sequences, logits of their last positions. Planned: what the runtime says "
        "before it allocates. Held: on the CPU the growth of the process's memory to its peak, on a GPU what the device had less "
        "free at the end. Time: median of the runs. The report's figures are as it prints them; its process held other things too.")


def chance(separate, fused):
    """Share of all ways to deal these accuracies into two groups that differ in their means as much as the two forms do."""
    both, size = separate + fused, len(separate)
    seen = abs(sum(separate) - sum(fused)) - 1e-9
    deals = [sum(deal) for deal in itertools.combinations(both, size)]
    return sum(abs(2 * deal - sum(both)) >= seen for deal in deals) / len(deals), len(deals)


def seeds_text(seeds):
    separate, fused = (some(get(seeds, form), form) for form in ("separate", "fused"))
    spread = (statistics.variance(separate) + statistics.variance(fused)) ** 0.5
    likely, deals = chance(separate, fused)
    pair = max(f - s for f in fused for s in separate)
    apart = REPORT_ACCURACY["fused"] - REPORT_ACCURACY["separate"]
    rows = [[form, len(values), f"{100 * statistics.mean(values):.2f}", f"{100 * statistics.stdev(values):.2f}",
             f"{100 * min(values):.1f} to {100 * max(values):.1f}", f"{REPORT_ACCURACY[form]:.2f}"]
            for form, values in (("separate", separate), ("fused", fused))]
    return table(["projections trained", "seeds", "mean %", "standard deviation", "range %", "the report, one run, %"], rows) + note(
        f"Fused and separate projections are the same function. Over the seeds their means differ by "
        f"{100 * (statistics.mean(fused) - statistics.mean(separate)):+.2f} points; of all {deals:,} ways to deal the accuracies into two "
        f"groups, {likely:.0%} differ at least as much, so there is no sign of an effect. Two single runs differ with a standard deviation "
        f"of {100 * spread:.2f} points: in one of 20 pairs by more than {196 * spread:.1f} points, at most by {100 * pair:.1f} in favour of "
        f"fused among all pairs here. Of the report's {apart:.2f} points about {min(apart, 196 * spread):.1f} are thus what seeds alone do at "
        f"this level of training; the rest ({max(0, apart - 196 * spread):.1f}) is not explained by these seeds, and accuracies near 65 % (a "
        "shorter training) may scatter more. The seeds were trained beforehand and are read from the fixture.")


def classifier_section(figures):
    rows = []
    for device in get(figures, "devices"):
        for row in some(get(device, "classifier"), "classifier"):
            for form in ("unfused", "fused"):
                r = get(row, form)
                rows.append([f"{get(row, 'device')}, {get(row, 'batch')} at once, {form}", f"{100 * get(r, 'accuracy'):.1f}",
                             f"{get(r, 'ms'):.2f}", f"{get(r, 'least_ms'):.2f} to {get(r, 'most_ms'):.2f}", get(r, "launches"),
                             f"{get(r, 'logits_off_by'):.0e}", f"{get(row, 'ratio'):.2f}x" if form == "fused" else ""])
    return "<h2>Table 2: attention, unfused and fused</h2>" + table(
        ["1,000 digits, fp32", "accuracy %", "time ms", "range ms", "launches a pass", "logits off by", "faster"], rows) + note(
        "Both forms run the same weights with the same tuned kernels, in turns; times are medians over all digits. Unfused: three "
        "products, rotary to new tensors, copies with heads before tokens and keys and values repeated, attention, a copy back. "
        "Fused: one product, attention on strided views of its result. Everything else is equal; mean and last layer are one "
        "product. Copies are launches of the embedding kernel, which gathers rows.") + seeds_text(get(figures, "seeds"))


def embeddings_section(figures):
    text = "<h2>Table 3 and figure 1: embeddings from outside</h2>"
    for device in get(figures, "devices"):
        rows = some(get(device, "embeddings"), "embeddings")
        own = next((row for row in rows if get(row, "table") == "own"), None)
        wide = [row for row in rows if get(row, "width")]
        if not own or not wide:
            raise Missing("embeddings/own and widths")
        names = {"own": "own table", "same": "own table through --embeds"}
        text += f"<h3>{html.escape(get(device, 'device'))}</h3>" + table(
            ["embeddings", "perplexity", "over own"],
            [[names.get(get(row, "table"), f"{row['width']} numbers a token, projected"), f"{get(row, 'perplexity'):.3f}",
              f"{row['perplexity'] / own['perplexity']:.3f}x"] for row in rows])

        def paint(axes):
            axes.plot([row["width"] for row in wide], [row["perplexity"] for row in wide], "o-", color=BLUE, label="--embeds, projected")
            axes.axhline(own["perplexity"], color=ORANGE, linestyle="--", label="own table")
            axes.set_yscale("log")
            ticks = [50, 100, 200, 500, 1000]
            axes.set_yticks(ticks, map(str, ticks), minor=False)
            axes.minorticks_off()
            axes.set_xticks([row["width"] for row in wide])
            axes.set_xlabel("numbers a token")
            axes.set_ylabel("perplexity")
            axes.legend(frameon=False)
        text += draw(paint, 7, 3)
    return text + note(
        "mamba-shakespeare on its perplexity.txt (685 tokens), every run by infer --perplexity --embeds. The tables are the best of "
        "their width that the model's own table has (singular value decomposition), with a projection into the model's 256 fitted "
        "by least squares. Not the report's figure: no pretrained word vectors and no training are part of this project; it shows "
        "that a table of another width goes through, and what a narrow one costs a model that was not trained with it.")


def profile_rows(device):
    rows = some([row for row in get(device, "profile", "rows") if "part" in row], "profile/rows")
    summary = next((row for row in device["profile"]["rows"] if row.get("figure") == "profile"), None)
    if summary is None:
        raise Missing("profile/rows: the summary")
    if not any(row["part"].startswith("vision/") for row in rows):
        raise Missing("profile/rows: vision/...")
    return rows, summary


LAYERS = {"images": "reading images", "upload": "upload", "vision": "visual embedding", "embedding": "token embedding",
          "text": "text layers", "head": "head", "sampling": "sampling", "download": "download", "host": "host"}


def layer_figure(figures):
    text = "<h2>Figure 2: time by layer</h2>"
    for device in get(figures, "devices"):
        rows, summary = profile_rows(device)
        layers = {}
        for row in rows:
            name = row["part"].split("/")[0]
            layers[LAYERS.get(name, name)] = layers.get(LAYERS.get(name, name), 0) + get(row, "share")
        about = device["profile"]
        text += bars(list(layers), list(layers.values()),
                     f"{get(summary, 'device')}: {about['model']}, {about['dtype']}{', made-up weights' if about['made_up_weights'] else ''}, "
                     f"{get(summary, 'prompt_tokens')} + {get(summary, 'new_tokens')} tokens, {get(summary, 'elapsed_us') / 1e3:.2f} ms")
        text += f"<p>Visual embedding: <b>{get(summary, 'vision_share'):.1%}</b> here, " \
                f"<b>{get(summary, 'reported_vision_share'):.1%}</b> in the report.</p>"
        text += "".join(note(line) for line in get(summary, "reason").splitlines())
    return text


def block_figure(figures):
    text = "<h2>Figure 3: sub-layers of the vision tower</h2>"
    for device in get(figures, "devices"):
        rows, summary = profile_rows(device)
        vision = [row for row in rows if row["part"].startswith("vision/")]
        whole = sum(get(row, "time_us") for row in vision)
        names = [row["part"].split("/", 1)[1] for row in vision]
        text += bars(names, [row["time_us"] / whole for row in vision], f"{summary['device']}: {whole / 1e3:.2f} ms")
        text += table(["part", "calls", "time ms", "of the tower", "GFLOP", "MB", "of the hardware's limit"], [
            [name, get(row, "calls"), f"{row['time_us'] / 1e3:.3f}", f"{row['time_us'] / whole:.1%}",
             *("-" if get(row, key) is None else form.format(row[key] * scale)
               for key, form, scale in (("flops", "{:.3f}", 1e-9), ("bytes", "{:.2f}", 1e-6), ("limit_share", "{:.1%}", 1)))]
            for name, row in zip(names, vision)])
    return text + note("Limit: what the device's highest FLOPs and bytes a second allow at best; above 100 % the data came from a cache.")


SECTIONS = (memory_section, classifier_section, embeddings_section, layer_figure, block_figure)


def page(figures):
    some(get(figures, "devices"), "devices")
    body = "".join(section(figures) for section in SECTIONS)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tunesmith: the report's tables and figures</title><style>{STYLE}</style></head>
<body><h1>The report's tables and figures, measured here</h1>
<p>{html.escape(get(figures, "date"))}. Every figure is from this run, except those in grey or called the report's; kernels were tuned just
before, {get(figures, "budget_s")} s a search.</p>{body}</body></html>
"""


def main():
    if len(sys.argv) != 3:
        sys.exit("page.py FIGURES.json PAGE.html")
    try:
        text = page(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    except Missing as missing:
        sys.exit(f"page.py: {sys.argv[1]} lacks {missing}: run collect.py again")
    pathlib.Path(sys.argv[2]).write_text(text)
    print(f"written to {sys.argv[2]}")


if __name__ == "__main__":
    main()
