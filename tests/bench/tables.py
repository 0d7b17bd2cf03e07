#!/usr/bin/env python3
"""Writes README's figures from tests/bench/results/: no figure stands there that is not in one of those files.

README marks each place with `<!-- bench:KIND FILE -->` ... `<!-- /bench -->`; what is between is replaced. With --check
nothing is written, and the exit status is 1 if README differs.     Usage: tables.py [--check]
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests/bench/results"
PEERS = {"cublas": "cuBLAS", "fa2": "FlashAttention 2", "fa3": "FlashAttention 3", "cudnn": "cuDNN", "torch": "PyTorch", "mamba_ssm": "mamba_ssm", "causal_conv1d": "causal_conv1d",
         "openblas": "OpenBLAS", "loop": "plain C loop"}


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def peer_cells(row):
    found = [(PEERS[key[:-3]], value) for key, value in row.items() if key.endswith("_us") and key[:-3] in PEERS and value]
    return ", ".join(f"{name} {us:g} us ({us / row['us']:.2f}x)" for name, us in found) or "-"


def kernels(r):
    """A run of peers.py (GPU) or of tests/bench/cpu: one row a problem."""
    # A row with a date of its own is of that day's run, the others are of the file's.
    rows = [[f"`{row['problem']}`" + (f" ({row['date']})" if "date" in row else ""), f"{row['us']:g}", f"{row['speedup_over_default']:.2f}x" if row["speedup_over_default"] else "-",
             f"{100 * row['share_of_limit']:.0f} %", peer_cells(row)] for row in r["rows"]]
    what = ", ".join(f"{name} {r[key]}{unit}" for key, name, unit in (
        ("driver", "driver", ""), ("torch", "PyTorch", ""), ("cudnn", "cuDNN", ""), ("threads", "threads:", ""),
        ("copy_tb_per_s", "copy", " TB/s"), ("copy_gb_per_s", "copy", " GB/s"), ("matmul_tflop_per_s", "large bf16 product", " TFLOP/s"),
        ("fma_gflop_per_s", "fp32 multiply-adds", " GFLOP/s")) if r.get(key))
    heads = ["problem", "us", "over default", "of limit", "peers (times the peer needs)"]
    if "one_core_us" in r["rows"][0]:
        heads[4:4] = ["loop on one core", "cores"]
        for cells, row in zip(rows, r["rows"]):
            cells[4:4] = [f"{row['loop_one_core_us'] / row['one_core_us']:.1f}x", f"{row['one_core_us'] / row['us']:.2f}x"]
    return f"{r['device']}, {r['date']}, {what}:\n\n" + table(heads, rows)


def models(r):
    """A run of tests/bench/models: made-up weights of the published sizes."""
    rows = []
    for row in r["rows"]:
        prefill = {p["prefill_tokens"]: f"{p['prefill_tokens_per_s']:,.0f}" for p in row["prefill"]}
        d = row["decode"]
        rows.append((row["model"], row["dtype"], prefill[512], prefill[2048], f"{d['decode_tokens_per_s']:,.0f}",
                     f"{d['limit_tokens_per_s']:,.0f}", f"{100 * d['share_of_limit']:.0f} %"))
    return f"{r['device']}, {r['date']}, random weights, batch 1, tokens a second:\n\n" + table(
        ["model", "dtype", "prefill 512", "prefill 2048", "decode", "bandwidth limit", "reached"], rows)


def fixture(r):
    """A run of tests/bench/fixture: the demo's model."""
    rows = [(row["dtype"], f"{row['perplexity']:.2f}", f"{row['decode_tokens_per_s']:,}") for row in r["rows"]]
    return f"{r['device']}, {r['date']}, mamba-shakespeare:\n\n" + table(["dtype", "perplexity", "decoded tokens a second"], rows)


def qwen(r):
    """A run of tests/bench/qwen: Qwen2-VL shapes beside transformers."""
    rows = [(row["figure"], f"{row['ms']:.3g}", f"{row['peer_ms']:.3g}" if row["peer_ms"] else "-",
             f"{row['ratio']:.2f}x" if row["ratio"] else "-") for row in r["rows"]]
    return (f"{r['device']}, {r['date']}, {r['model']}, {r['dtype']}, random weights, beside {r['peer']}, in one run; decoding reaches "
            f"{100 * r['decode_share_of_limit']:.0f} % of the bandwidth limit:\n\n" + table(["what", "ms", "transformers, ms", "ratio"], rows))


def search(r):
    """A run of search.py: our strategies beside Kernel Tuner's, the best of those first."""
    budgets = sorted({row["evals"] for row in r["rows"]})
    cells = {(row["who"], row["strategy"], row["evals"]): row for row in r["rows"]}
    names = list(dict.fromkeys((row["who"], row["strategy"]) for row in r["rows"]))
    peers = sorted((name for name in names if name[0] == "kernel_tuner"),
                   key=lambda name: -sum(cells[*name, evals]["mean"] for evals in budgets))
    rows = [(f"{r['peer'] if who == 'kernel_tuner' else 'Tunesmith'} `{strategy}`",
             *(f"{row['mean']:.3f} ({row['interval'][0]:.3f} to {row['interval'][1]:.3f})"
               for row in (cells[who, strategy, evals] for evals in budgets)))
            for who, strategy in [("tunesmith", "auto"), ("tunesmith", "random"), *peers[:5]]]
    return (f"`{r['space']}`, {r['date']}, {r['repeats']} runs, mean share of the optimum with its 95 % interval, the best five of "
            f"{len(peers)}:\n\n" + table(["strategy", *(f"{evals} evaluations" for evals in budgets)], rows))


def output(text):
    """A part of what a program printed, as it was."""
    return f"```\n{text.rstrip()}\n```"


KINDS = {f.__name__: f for f in (kernels, models, fixture, qwen, search, output)}


def filled(text):
    def fill(match):
        kind, name = match[1], match[2]
        text = (RESULTS / name).read_text()
        body = KINDS[kind](json.loads(text) if name.endswith(".json") else text)
        return f"<!-- bench:{kind} {name} -->\n{body}\n<!-- /bench -->"
    return re.sub(r"<!-- bench:(\w+) (\S+) -->\n.*?<!-- /bench -->", fill, text, flags=re.S)


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    if "<!-- bench:" not in text:
        sys.exit("README has no places for figures (<!-- bench:KIND FILE -->)")
    wanted = filled(text)
    if "--check" in sys.argv[1:]:
        if text != wanted:
            print("README's figures differ from tests/bench/results/: run `make docs`", file=sys.stderr)
            return 1
        return 0
    readme.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
