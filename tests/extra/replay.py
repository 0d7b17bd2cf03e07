"""Called by kernel_tuner_test.sh: FOLDER holds t.db, cache/*.json and t4/*.json. One line a check; exit 1 if one fails."""

import glob
import json
import shutil
import sqlite3
import sys

import jsonschema
import kernel_tuner
from constraint import FunctionConstraint
from kernel_tuner import util
from kernel_tuner.file_utils import get_t4_results, output_file_schema

folder = sys.argv[1]
failures = 0


def check(what, good):
    global failures
    failures += not good
    print("ok" if good else "FAILED", what)


def optimum(problem):
    """The fastest of the database's results: (variant, milliseconds)."""
    base = sqlite3.connect(folder + "/t.db")
    return base.execute("""SELECT variant, time_us / 1000 FROM result JOIN problem ON problem.id = problem_id
        WHERE text = ? AND status IN ('ok', 'slow') AND time_us > 0 ORDER BY time_us LIMIT 1""", (problem,)).fetchone()


def name_of(problem, cache, best):
    """Ours of a configuration of Kernel Tuner's."""
    words = [f"{key}={best[key]}" for key in cache["tune_params_keys"][1:]]
    return {problem.split()[0] + "/" + best["version"], *(word for word in words if not word.endswith(("=0", "=-")))}


def simulate(path, strategy, **options):
    """tune_kernel on the cache alone: no source, no arguments, no device."""
    cache = util.read_cache(path, open_cache=False)
    measured = {tuple(entry[key] for key in cache["tune_params_keys"]) for entry in cache["cache"].values()}
    return cache, kernel_tuner.tune_kernel(
        cache["kernel_name"], "", tuple(cache["problem_size"]), [], cache["tune_params"], cache=path, simulation_mode=True,
        restrictions=[FunctionConstraint(lambda *values: values in measured)], lang="CUDA", quiet=True, strategy=strategy,
        strategy_options=options or None)


for path in sorted(glob.glob(folder + "/cache/*.json")):
    before = open(path).read()
    head = util.read_cache(path, open_cache=False)
    strategies = {"brute_force": {}, "random_sample": {"max_fevals": len(head["cache"])}}
    # It steps from neighbour to neighbour, and ends when it has seen so many: one version's values all are neighbours.
    if len(head["tune_params"]["version"]) == 1:
        strategies["greedy_ils"] = {"max_fevals": len(head["cache"])}
    for strategy, options in strategies.items():
        cache, (results, environment) = simulate(path, strategy, **options)
        problem = cache["kernel_name"]
        family = problem.split()[0]
        variant, time_ms = optimum(problem)
        best = environment["best_config"]
        seen = {tuple(result[key] for key in cache["tune_params_keys"]) for result in results}
        check(f"{family}: {strategy} has seen all {len(cache['cache'])} configurations", len(seen) == len(cache["cache"]))
        check(f"{family}: {strategy} finds {variant}, {time_ms:.6f} ms", name_of(problem, cache, best) == set(variant.split())
              and abs(best["time"] / time_ms - 1) < 1e-5)
        check(f"{family}: {strategy} accounts for the time that was spent", environment["total_compile_time"] > 0 and
              environment["total_benchmark_time"] > 0 and environment["total_verification_time"] > 0)
    check(f"{family}: simulation leaves the file alone", open(path).read() == before)
    failed = sum("__error__" in entry for entry in cache["cache"].values())
    check(f"{family}: {failed} failures are known as such", failed == sum(
        isinstance(entry["time"], str) for entry in json.loads(before)["cache"].values()) and (family != "faulty" or failed == 11))
    if not failed:
        results, environment = kernel_tuner.tune_cache(path, lang="CUDA", quiet=True)
        check(f"{family}: tune_cache finds the optimum", abs(environment["best_config"]["time"] / time_ms - 1) < 1e-5)

    # A session that goes on with the file: opened, appended to, left open, read again.
    appended = folder + "/appended.json"
    shutil.copy(path, appended)
    cache = util.read_cache(appended, open_cache=True)
    new = {**{key: values[0] for key, values in cache["tune_params"].items()}, "time": 1.5, "compile_time": 1}
    util.store_cache("new", new, appended, cache["cache"])
    again = util.read_cache(appended, open_cache=False)
    check(f"{family}: a session can be continued", again["cache"]["new"] == new and len(again["cache"]) == len(cache["cache"]))
    shutil.move(appended, path)

for path in sorted(glob.glob(folder + "/t4/*.json")):
    kind = "metadata" if path.endswith("-metadata.json") else "results"
    version, schema = output_file_schema(kind)
    document = json.load(open(path))
    try:
        jsonschema.validate(document, schema)
        good = document["schema_version"] == version
    except jsonschema.ValidationError as error:
        print(error.message)
        good = False
    check(f"T4 {kind}: {path.rsplit('/', 1)[1]} keeps to the schema", good)

# Its own writer, given the cache, says what ours says.
for path in sorted(glob.glob(folder + "/t4/*-t4.json")):
    ours = json.load(open(path))
    cache = next(c for c in map(lambda p: util.read_cache(p, open_cache=False), glob.glob(folder + "/cache/*.json"))
                 if c["kernel_name"] == ours["metadata"]["problem"])
    entries = [entry for key, entry in cache["cache"].items() if key != "new"]
    theirs = get_t4_results(entries, cache["tune_params"])
    keys = ("configuration", "objectives", "timestamp")
    same = all(a[key] == b[key] for a, b in zip(ours["results"], theirs["results"]) for key in keys)
    same = same and all(b["times"].items() <= a["times"].items() for a, b in zip(ours["results"], theirs["results"]))
    invalid = {(a["invalidity"], b["invalidity"]) for a, b in zip(ours["results"], theirs["results"])}
    check(f"T4: {ours['metadata']['problem'].split()[0]} is as its own writer has it", same and len(entries) == len(ours["results"]) and
          invalid <= {("correct",) * 2, ("compile",) * 2, ("constraints",) * 2, ("runtime",) * 2, ("timeout", "runtime"),
                      ("correctness", "runtime")} and ours["metadata"]["timeunit"] == theirs["metadata"]["timeunit"])
sys.exit(failures > 0)
