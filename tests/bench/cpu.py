#!/usr/bin/env python3
"""Families on this machine's CPU: tunes the problems of tests/bench/cpu.c, runs it, joins tuned against default, writes
tests/bench/results/<cpu>-<target>.json and prints a table. A peer that is not installed is left out with a line.

    tests/bench/cpu.py [--db FILE] [--budget TIME] [--out DIR]
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/tests/bench/cpu"
PROBLEMS = re.findall(r'"(\w+ \w+=[^"]*)"', (ROOT / "tests/bench/cpu.c").read_text())


def lines(*words):
    # passive: a peer's threads that spin after their turn would take the cores from the next
    output = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, check=True,
                            env={**os.environ, "OMP_WAIT_POLICY": "passive"}).stdout
    return [json.loads(line) for line in output.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", default=ROOT / "build/bench-cpu.db")
    parser.add_argument("--budget", default="90s")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/bench/results")
    args = parser.parse_args()
    picks = [word for problem in PROBLEMS for word in ("--problem", problem)]
    subprocess.run([ROOT / "build/tune", "--gpu", "cpu", *picks, "--db", args.db, "--budget", args.budget], check=True,
                   stdout=subprocess.DEVNULL)
    stored = {row["problem"]: row for row in lines(ROOT / "build/tune", "ls", "--json", "--db", args.db)}
    machine, *rows = lines(PROGRAM, args.db)
    if not any("openblas_us" in row for row in rows):
        print("OpenBLAS is not installed: gemm and gemv are compared with the loop only", file=sys.stderr)
    for row in rows:
        memory = row.pop("bytes") / machine["copy_gb_per_s"] / 1e3
        products = row.pop("flops") / machine["fma_gflop_per_s"] / 1e3
        row["limit_us"], row["limit"] = round(max(memory, products), 1), "memory" if memory >= products else "products"
        row["share_of_limit"] = round(row["limit_us"] / row["us"], 3)
        row["speedup_over_default"] = round(stored[row["problem"]]["speedup"], 2)
        print(f"{row['problem']:84} {row['us']:9.1f} us  {row['speedup_over_default']:.2f}x default  "
              f"{row['share_of_limit']:4.0%} of the limit ({row['limit']})  loop {row['loop_us'] / row['us']:.2f}x, "
              f"on one core {row['loop_one_core_us'] / row['one_core_us']:.2f}x  cores {row['one_core_us'] / row['us']:.2f}x" +
              (f"  OpenBLAS {row['openblas_us'] / row['us']:.2f}x" if "openblas_us" in row else ""))
    result = {**machine, "date": datetime.date.today().isoformat(), "rows": rows}
    name = re.sub(r"[^a-z0-9]+", "-", f"{machine['device']} {machine['target'].removeprefix('cpu-')}".lower()).strip("-")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {name}.json")


if __name__ == "__main__":
    main()
