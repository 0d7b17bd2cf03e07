#!/usr/bin/env python3
"""Runs everything that the report page shows and writes the figures as JSON; page.py draws them. Only Python's own library
is needed, so this half also runs on a machine that has nothing but a carried build/ and the tables of embeds.py.

    tests/bench/report/collect.py --json FILE [--device cpu|cuda] [--model DIR] [--budget SECONDS] [--db FILE]

Without --device: the CPU, and the GPU where there is one. --model is the Qwen2-VL whose time is split up (qwen2vl-mnist);
one without weights, such as tests/bench/configs/qwen2vl-2b, gets made-up ones. --budget is for each of the three searches
of a device; every kernel has its verified default before they begin.
"""
import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / "build"
DIGITS = ROOT / "tests/fixtures/mnist-attention"
SHAKESPEARE = ROOT / "tests/fixtures/mamba-shakespeare"
MAMBA = ROOT / "tests/bench/configs/mamba-130m"
EMBEDS = BUILD / "report/embeds"
IMAGE = ROOT / "tests/fixtures/qwen2vl-mnist/cases/case0_0.png"
BATCHES = (100, 1000)  # digits that go through the classifier at once
DTYPE = {"cpu": "fp32", "cuda": "bf16"}  # of the profiled model
BEGIN = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - BEGIN:4.0f} s] {text}", file=sys.stderr, flush=True)


def command(program, *words, lines=False):
    """What a program of build/ prints, one JSON object a line (or its plain lines)."""
    words = [str(BUILD / program), *map(str, words)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"collect: {' '.join(words)} ended with {done.returncode}")
    printed = done.stdout.splitlines()
    return printed if lines else [json.loads(line) for line in printed]


def tune(args, device, *words):
    command("tune", "--gpu", "cpu" if device == "cpu" else "auto", "--db", args.db, "--budget", f"{args.budget}s", "--quiet",
            *words, lines=True)


def classifier(args, device):
    """Table 2: one row for each number of digits that go through at once."""
    problems = sorted({line for batch in BATCHES for line in command("report/classifier", "--problems", "--batch", batch, lines=True)})
    say(f"{device}: tuning {len(problems)} problems of the attention classifier")
    tune(args, device, *(word for problem in problems for word in ("--problem", problem)))
    say(f"{device}: attention classifier, unfused and fused in turns")
    return [row for batch in BATCHES for row in
            command("report/classifier", "--db", args.db, "--device", device, "--batch", batch, DIGITS)]


def memory(args, device):
    """Table 1: one row for each precision."""
    say(f"{device}: tuning Mamba-130M, fp32 and bf16")
    tune(args, device, "--model", MAMBA, "--dtype", "fp32,bf16")
    say(f"{device}: memory and time of Mamba-130M")
    return [row for dtype in ("fp32", "bf16") for row in
            command("report/memory", "--db", args.db, "--device", device, "--dtype", dtype, MAMBA)]


def embeddings(args, device):
    """Table 3: one row for each table of embeddings; width None is the model's own table."""
    say(f"{device}: perplexity with other embedding tables")
    tables = sorted(EMBEDS.glob("width-*.safetensors"), key=lambda path: int(path.stem.split("-")[1]))
    rows = []
    for path in [None, EMBEDS / "same.safetensors", *tables]:
        row, = command("infer", "-m", SHAKESPEARE, "--db", args.db, "--device", device, "--dtype", "fp32", "--json",
                       "--perplexity", SHAKESPEARE / "perplexity.txt", *(("--embeds", path) if path else ()))
        rows.append({"table": path.stem if path else "own", "perplexity": row["perplexity"], "tokens": row["tokens"],
                     "width": int(path.stem.split("-")[1]) if path in tables else None})
    return rows


def profile(args, device):
    """Figures 2 and 3: the rows of infer --profile."""
    trained = (args.model / "model.safetensors").exists() or (args.model / "model.safetensors.index.json").exists()
    # A look of 1,024 patches; without weights the made-up one of --bench.
    what = ("--image", IMAGE, "--image-min-pixels", 448 * 448, "-p", "What digit is this?") if trained else (
        "--random-weights", "--bench", "-n", 8)
    say(f"{device}: time by layer of {args.model.name}{'' if trained else ', made-up weights'}")
    rows = command("infer", "-m", args.model, "--db", args.db, "--device", device, "--dtype", DTYPE[device], "--profile",
                   "--json", *what)
    return {"model": args.model.name, "made_up_weights": not trained, "dtype": DTYPE[device],
            "rows": [row for row in rows if "part" in row or row.get("figure") == "profile"]}


def measure(args, device):
    figures = {"device": device, "classifier": classifier(args, device), "memory": memory(args, device)}
    say(f"{device}: tuning {SHAKESPEARE.name} and {args.model.name}")
    tune(args, device, "--model", SHAKESPEARE, "--dtype", "fp32")
    tune(args, device, "--model", args.model, "--dtype", DTYPE[device])
    figures["embeddings"] = embeddings(args, device)
    figures["profile"] = profile(args, device)
    return figures


def check(args):
    """What would fail only after minutes."""
    if "--profile" not in "\n".join(command("infer", "--help", lines=True)):
        sys.exit("collect: build/infer has no --profile, which figures 2 and 3 are made from")
    if not (EMBEDS / "same.safetensors").exists():
        sys.exit(f"collect: no tables in {EMBEDS}: run tests/bench/report/embeds.py {SHAKESPEARE} {EMBEDS}")
    if not (args.model / "config.json").exists():
        sys.exit(f"collect: --model {args.model}: no config.json there")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=pathlib.Path, required=True, help="file to write")
    parser.add_argument("--device", choices=DTYPE, help="one device (the CPU, and the GPU where there is one)")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "tests/fixtures/qwen2vl-mnist", help="Qwen2-VL to profile")
    parser.add_argument("--budget", type=int, default=20, help="seconds of a search (20)")
    parser.add_argument("--db", type=pathlib.Path, default=BUILD / "report.db", help="database to tune into")
    args = parser.parse_args()
    check(args)
    devices = [args.device] if args.device else ["cpu"] + ["cuda"] * pathlib.Path("/dev/nvidia0").exists()
    result = {"date": datetime.date.today().isoformat(), "budget_s": args.budget,
              "seeds": json.loads((DIGITS / "seeds.json").read_text()), "devices": [measure(args, d) for d in devices]}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1) + "\n")
    say(f"written to {args.json}")


if __name__ == "__main__":
    main()
