#!/usr/bin/env python3
"""Our search strategies beside Kernel Tuner's, on spaces in which every configuration was measured before: the share of the
optimum (best time of the space over the best found) after so many evaluations, over runs with other seeds. Both count
distinct configurations, one that failed as well; both see a failure as a failure.

    tests/bench/search.py [--evals 50,100,200] [--repeats 60] [--seed 1] [--jobs N] [--strategies A,B] [--out DIR] SPACE...

A SPACE is a Kernel Tuner cache file, plain or gzip. Writes search-SPACE.json to DIR (tests/bench/results) and prints a table;
the exit status is 1 if `auto` is behind one of Kernel Tuner's strategies anywhere: the 95 % bootstrap interval of the
difference of the means lies above 0. Runs under an interpreter that has kernel_tuner; `make bench-search` makes one. What
Kernel Tuner's runs reached is kept below build/bench-search and not run again.
"""
import argparse
import concurrent.futures
import datetime
import gzip
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"  # runs are what goes in parallel
import numpy  # noqa: E402

import search_peer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = ROOT / "build/bench-search"
VERSION = importlib.metadata.version("kernel_tuner")
OURS = ["auto", "model", "local", "annealing", "genetic", "random"]
RESAMPLES = 4000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="+", type=pathlib.Path, metavar="SPACE")
    parser.add_argument("--evals", default="50,100,200", help="evaluations, commas between (50,100,200)")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the first run (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--strategies", help="of Kernel Tuner's, commas between (all)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/bench/results", help="folder of the results")
    args = parser.parse_args()
    args.evals = [int(count) for count in args.evals.split(",")]
    args.strategies = args.strategies.split(",") if args.strategies else search_peer.STRATEGIES
    unknown = [name for name in args.strategies if name not in search_peer.STRATEGIES]
    if unknown:
        parser.error(f"--strategies {','.join(unknown)}: known are {', '.join(search_peer.STRATEGIES)}")
    for path in args.spaces:
        if not path.is_file():
            parser.error(f"{path}: no such file")
    return args


# ---- runs ----

def our_shares(path, strategy, args):
    """A list of shares for each budget, from `tune simulate`."""
    words = [str(ROOT / "build/tune"), "simulate", str(path), "--strategy", strategy, "--evals", ",".join(map(str, args.evals)),
             "--repeats", str(args.repeats), "--seed", str(args.seed), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"search: {' '.join(words)} ended with {done.returncode}")
    return {row["evals"]: row["shares"] for row in map(json.loads, done.stdout.splitlines())}


def open_in_worker(path, folder):
    global space, space_hash
    text = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    space, space_hash = search_peer.Space(path, json.loads(text), folder), hashlib.sha256(text).hexdigest()[:16]


def peer_shares(strategy, evals, seeds):
    """The shares of the runs, or why there are none. Each budget is a run of its own: some strategies plan by it."""
    kept = KEPT / f"{VERSION}-{space_hash}-{strategy}-{evals}-{seeds.start}-{len(seeds)}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    try:
        shares = [space.share(strategy, evals, seed) for seed in seeds]
    except Exception as error:  # whatever goes wrong inside the package is that strategy's result
        return f"{type(error).__name__}: {error}".splitlines()[0]
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(shares))
    part.rename(kept)
    return shares


def replay(path, args):
    """{(who, strategy, evals): shares}, and what could not run."""
    seeds = range(args.seed, args.seed + args.repeats)
    shares, failed = {}, {}
    # One after the other: a worker that is forked meanwhile would hold our programs' pipes open.
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as threads:
        for strategy, by_evals in zip(OURS, threads.map(lambda strategy: our_shares(path, strategy, args), OURS)):
            shares.update({("tunesmith", strategy, evals): list_ for evals, list_ in by_evals.items()})
    with (tempfile.TemporaryDirectory() as folder,
          concurrent.futures.ProcessPoolExecutor(args.jobs, initializer=open_in_worker, initargs=(path, folder)) as pool):
        peers = {(strategy, evals): pool.submit(peer_shares, strategy, evals, seeds)
                 for strategy in args.strategies for evals in args.evals}
        for (strategy, evals), future in peers.items():
            if isinstance(future.result(), str):
                failed[strategy] = future.result()
            else:
                shares["kernel_tuner", strategy, evals] = future.result()
    return {key: numpy.array(list_) for key, list_ in shares.items() if key[1] not in failed}, failed


# ---- statistics ----

def interval(means):
    low, high = numpy.quantile(means, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def judge(shares):
    """One row a strategy and budget; `ahead` of a peer's is by how much it is ahead of `auto`, as an interval."""
    random = numpy.random.default_rng(1)
    means = {key: random.choice(list_, (RESAMPLES, len(list_))).mean(axis=1) for key, list_ in shares.items()}
    rows = []
    for key, list_ in shares.items():
        who, strategy, evals = key
        row = {"who": who, "strategy": strategy, "evals": evals, "mean": round(float(list_.mean()), 4),
               "p10": round(float(numpy.quantile(list_, 0.1)), 4), "interval": interval(means[key])}
        if who == "kernel_tuner":
            row["ahead"] = interval(means[key] - means["tunesmith", "auto", evals])
        rows.append(row)
    return rows


def print_table(result, args):
    rows = {(row["who"], row["strategy"], row["evals"]): row for row in result["rows"]}
    print(f"\n{result['space']}: mean [95 % interval] p10 of the share of the optimum, {result['repeats']} runs")
    print(" " * 36 + "".join(f"{count:>8} evaluations       " for count in args.evals))
    for who, strategy in dict.fromkeys((row["who"], row["strategy"]) for row in result["rows"]):
        cells = []
        for evals in args.evals:
            row = rows[who, strategy, evals]
            mark = "!" if row.get("ahead", [0])[0] > 0 else " "
            cells.append(f"{mark}{row['mean']:.3f} [{row['interval'][0]:.3f} {row['interval'][1]:.3f}] {row['p10']:.3f}")
        print(f"{who:13}{strategy:23}" + "   ".join(cells))
    for strategy, why in result["failed"].items():
        print(f"kernel_tuner {strategy:23}not run: {why}")


def behind(result):
    found = [row for row in result["rows"] if row.get("ahead", [0])[0] > 0]
    for row in found:
        print(f"{result['space']}, {row['evals']} evaluations: auto is behind {row['strategy']} ({row['mean']:.3f}) by "
              f"{row['ahead'][0]:.3f} to {row['ahead'][1]:.3f}")
    return len(found)


def main():
    args = arguments()
    for folder in (args.out, KEPT):
        folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for path in args.spaces:
        shares, failed = replay(path, args)
        name = path.name.split(".json")[0]
        result = {"space": name, "date": str(datetime.date.today()), "peer": f"Kernel Tuner {VERSION}",
                  "repeats": args.repeats, "seed": args.seed, "rows": judge(shares), "failed": failed}
        (args.out / f"search-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print_table(result, args)
        count += behind(result)
        sys.stdout.flush()
    print(f"\nauto is behind in {count} places" if count else "\nauto is behind nowhere")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
