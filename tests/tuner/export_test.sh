#!/bin/bash
# `tune export --format`: every key of a Kernel Tuner cache and of T4 results against the database, by json alone; what
# cannot be exported is said, and `tune simulate` reads what was. tests/extra/kernel_tuner_test.sh lets Kernel Tuner read it.
. "$(dirname "$0")/lib.sh"
db=$scratch/t.db out=$scratch/out
refused() { # WHAT STATUS WORDS FLAG...
    local what=$1 status=$2 words=$3
    shift 3
    "$tune" export "$@" >"$scratch/refused.out" 2>"$scratch/refused.err"
    check "$what exits $status" test $? = "$status"
    check "$what is named in one line" test "$(grep -cF -e "$words" "$scratch/refused.err"):$(wc -l <"$scratch/refused.err")" = 1:1
}

# A family of two versions that share one tunable, which is a number here and a text there; one is called as the
# format's own result. Beside it the family whose variants go wrong in every way.
mkdir -p "$scratch/families/vadd"
cat >"$scratch/families/vadd/family.lua" <<'LUA'
local function launch(grid) return { { entry = "vadd", grid = { grid, "1", "1" }, scratch = "0" } } end
return {
  name = "vadd", fields = { { "n", "extent" }, { "dtype", "spec", { "fp32" }, default = "fp32" } }, lanes = "n",
  work = { flops = "n", bytes = "12*n" },
  tensors = { { "x", "in", dtype = "fp32", shape = { "1", "n" } }, { "y", "in", dtype = "fp32", shape = { "1", "n" } },
              { "out", "out", dtype = "fp32", shape = { "1", "n" } } },
  tolerance = { fp32 = { rtol = 1e-6, atol = 1e-6, norm = 1e-6 } },
  versions = {
    { name = "chunks", kind = "cpu", file = "1_chunks.c.in", launches = launch("ceil_div(n, chunk)"),
      tunables = { { "chunk", { 16384, 4096 } }, { "hint", { 8, 16 } } }, default = { chunk = 4096, hint = 8 } },
    { name = "named", kind = "cpu", file = "2_named.c.in", launches = launch("ceil_div(n, 4096)"),
      tunables = { { "hint", { "low", "high" } }, { "time", { 1, 2 } } } },
  },
}
LUA
printf 'struct vadd_args {\n    void *workspace;\n    const float *x;\n    const float *y;\n    float *out;\n    int32_t n;\n};\n' >"$scratch/families/vadd/args.h"
printf '#include "vadd_ref.h"\nvoid vadd_ref(const struct vadd_ref *p, int64_t i) { p->out[i] = p->x[i] + p->y[i]; }\n' >"$scratch/families/vadd/ref.c"
echo 'return { verify = { { n = 0 }, { n = 7001 } }, smoke = { "vadd n=777" }, model = { "vadd n=9000" } }' >"$scratch/families/vadd/cases.lua"
echo '# vadd' >"$scratch/families/vadd/README.md"
version() { # FILE CHUNK COMMENT
    cat >"$scratch/families/vadd/$1.c.in" <<C
KERNEL void vadd(const struct vadd_args *a, void *scratch, uint32_t bx, uint32_t by, uint32_t bz) {
    (void)scratch, (void)by, (void)bz; /* $3 */
    int64_t first = (int64_t)bx * $2, end = first + $2;
    for (int64_t i = first; i < end && i < a->n; i++) a->out[i] = a->x[i] + a->y[i];
}
C
}
version 1_chunks '${chunk}' '${hint}'
version 2_named 4096 '${hint} ${time}'
check "tune ends well" "$tune" --gpu cpu --templates "$scratch/families" --templates $here/templates --family vadd --family faulty \
    --db "$db" --strategy exhaustive --timeout 1s --budget 2m --quiet
target=$(query "$db" "SELECT target.name FROM winner JOIN target ON target.id = target_id LIMIT 1")

check "caches" "$tune" export --format kernel-tuner --db "$db" --out "$out/cache"
check "T4 results" "$tune" export --format t4 --db "$db" --out "$out/t4"
check "two caches" test "$(find "$out/cache" -type f | wc -l)" = 2
check "two results, two metadata files" test "$(find "$out/t4" -type f -name '*-t4.json' | wc -l):$(find "$out/t4" -type f | wc -l)" = 2:4
cat >"$scratch/check.py" <<'PYTHON'
import datetime, glob, json, sqlite3, sys
base, out, target = sqlite3.connect(sys.argv[1]), sys.argv[2], sys.argv[3]
stages = {"compile_time": "compile_ms", "verification_time": "verify_ms", "benchmark_time": "measure_ms",
          "strategy_time": "search_ms", "framework_time": "prepare_ms"}
failures = {"constraint": ("InvalidConfig", "constraints"), "compile": ("CompilationFailedConfig", "compile"),
            "wrong": ("RuntimeFailedConfig", "correctness"), "timeout": ("RuntimeFailedConfig", "timeout"),
            "crash": ("RuntimeFailedConfig", "runtime")}
columns = {"vadd n=9000 dtype=fp32": {"version": ["chunks", "named"], "chunk": [0, 4096, 16384],
                                      "hint": ["16", "8", "high", "low"], "tunable_time": [0, 1, 2]},
           "faulty m=16 k=256 dtype=fp32": {"version": ["rows"], "fault": sorted(
               "none element past_end between_rows unwritten input workspace reads_padding crash hang compile template slow".split())}}
sizes = {"vadd n=9000 dtype=fp32": [9000], "faulty m=16 k=256 dtype=fp32": [16, 256]}

def close(a, b): return abs(a - b) <= 1e-5 * abs(b)

def stored(problem):
    rows = base.execute("""SELECT variant, status, reason, time_us, samples, error, evidence FROM result
        JOIN problem ON problem.id = problem_id JOIN target ON target.id = target_id WHERE text = ? AND name = ?""", (problem, target))
    return {row[0]: row[1:] for row in rows}

def variant(problem, configuration):  # back to our name of it
    words = [f"{name.removeprefix('tunable_')}={value}" for name, value in configuration.items()
             if name != "version" and value != 0 and not (name == "hint" and value == "-")]
    order = {"chunk": 0, "fault": 0, "hint": 1, "time": 2}
    words.sort(key=lambda word: order[word.split("=")[0]])
    return f"{problem.split()[0]}/{configuration['version']} " + " ".join(words)

def check_when(text, evidence):
    when = datetime.datetime.fromisoformat(text)
    assert when.utcoffset() == datetime.timedelta(0) and abs(when.timestamp() - evidence["at"]) < 0.002, text

seen = set()
for path in glob.glob(out + "/cache/*.json"):
    text = open(path).read()
    assert text.endswith("}\n}") and text.count("\n") > 5, "Kernel Tuner appends to such a file"
    cache = json.loads(text)
    problem = cache["kernel_name"]
    rows = stored(problem)
    assert cache["device_name"] == base.execute("SELECT name FROM device LIMIT 1").fetchone()[0]
    assert cache["problem_size"] == sizes[problem] and cache["objective"] == "time" and cache["target"] == target
    assert cache["tune_params"] == columns[problem] and cache["tune_params_keys"] == list(columns[problem]), cache["tune_params"]
    assert len(cache["cache"]) == len(rows) == text.count('"timestamp"'), "one a variant"
    for key, entry in cache["cache"].items():
        configuration = {name: entry[name] for name in cache["tune_params_keys"]}
        assert key == ",".join(str(value) for value in configuration.values()), key
        assert all(value in columns[problem][name] for name, value in configuration.items()), key
        status, reason, time_us, samples, error, evidence = rows[variant(problem, configuration)]
        evidence = json.loads(evidence)
        check_when(entry["timestamp"], evidence)
        assert all(close(entry[name], evidence[stage]) for name, stage in stages.items()), key
        assert entry.get("reason", "") == reason
        if status in failures:
            assert entry["time"] == entry["__error__"] == failures[status][0] and entry["times"] == [], key
        else:
            assert close(entry["time"], time_us / 1000) and "__error__" not in entry, key
            assert len(entry["times"]) == samples >= 2 and min(entry["times"]) <= entry["time"] <= max(entry["times"]), key
            assert entry["benchmark_time"] > 0 and close(entry["error"], error), key
        seen.add(status)
    timed = [entry["time"] for entry in cache["cache"].values() if "__error__" not in entry]
    print(problem.split()[0], len(rows), len(rows) - len(timed), min(timed))
assert seen == set(failures) | {"ok", "slow"}, seen

for path in glob.glob(out + "/t4/*-t4.json"):
    t4 = json.load(open(path))
    problem = t4["metadata"]["problem"]
    rows = stored(problem)
    assert t4["schema_version"] == "1.0.0" and t4["metadata"]["timeunit"] == "milliseconds" and len(t4["results"]) == len(rows)
    for result in t4["results"]:
        status, reason, time_us, samples, error, evidence = rows[variant(problem, result["configuration"])]
        evidence, measured = json.loads(evidence), {m["name"]: (m["value"], m["unit"]) for m in result["measurements"]}
        check_when(result["timestamp"], evidence)
        assert result["objectives"] == ["time"] and list(result["configuration"]) == list(columns[problem])
        assert result["times"]["compilation"] == result["times"]["compilation_time"]
        for name, stage in {"compilation": "compile_ms", "validation": "verify_ms", "benchmark": "measure_ms",
                            "search_algorithm": "search_ms", "framework": "prepare_ms"}.items():
            assert close(result["times"][name], evidence[stage]), name
        right = status not in failures
        assert result["invalidity"] == ("correct" if right else failures[status][1])
        assert result["correctness"] == right and len(result["times"]["runtimes"]) == (samples if right else 0)
        assert ("time" in measured) == right and (not right or close(measured["time"][0], time_us / 1000) and measured["time"][1] == "ms")
    about = json.load(open(path.removesuffix(".json") + "-metadata.json"))
    device = about["metadata"]["hardware"]["hardware_description"][0]
    name, cores, memory = base.execute("SELECT name, sm_count, memory_bytes FROM device LIMIT 1").fetchone()
    assert (device["name"], device["sm_count"], device["memory_bytes"]) == (name, cores, memory)
PYTHON
check "keys, values and times are the database's" sh -c "python3 '$scratch/check.py' '$db' '$out' '$target' >'$scratch/spaces.txt'"

# Our own reader, and the same optimum.
while read -r family count bad best; do
    "$tune" simulate "$out/cache/$family"-*.json --strategy exhaustive --evals "$count" --repeats 1 >"$scratch/simulate.txt" 2>"$scratch/simulate.err"
    check "simulate reads $family" grep -q ": $count configurations, $bad failed, best $(printf %.6g "$best")\$" "$scratch/simulate.txt"
    check "simulate finds the optimum of $family" grep -q "mean 1.0000" "$scratch/simulate.txt"
    check "without a note" test ! -s "$scratch/simulate.err"
done <"$scratch/spaces.txt"

# Where it goes.
check "one problem into one file" "$tune" export --format kernel-tuner --db "$db" --out "$scratch/new/one.json" 'vadd dtype=fp32'
check "which is the same" cmp "$scratch/new/one.json" "$out"/cache/vadd-*.json
refused "two problems for one file" 2 "one file" --format t4 --db "$db" --out "$scratch/two.json"
check "and nothing was written" sh -c "! ls '$scratch'/two*"
refused "an unknown format" 2 "kernel-tuner t4" --format t5 --db "$db"
refused "--ship and --format" 2 "exclude" --format t4 --ship --db "$db"
refused "a problem without a format" 2 "go with --format" --db "$db" vadd
refused "an unknown problem" 1 'no results of "vadd n=5"' --format t4 --db "$db" --out "$scratch/none" 'vadd n=5'
refused "a folder that cannot be" 1 "t.db" --format t4 --db "$db" --out "$db/x" vadd

# A signed file is read only; a damaged row is no result.
cp "$db" "$scratch/signed.db"
"$tune" keygen --key "$scratch/key" >/dev/null && "$tune" sign --key "$scratch/key" --db "$scratch/signed.db" >/dev/null
check "a signed database" "$tune" export --format kernel-tuner --db "$scratch/signed.db" --out "$scratch/signed" vadd
check "gives the same" cmp "$scratch"/signed/vadd-*.json "$out"/cache/vadd-*.json
query "$db" "UPDATE result SET time_us = 0.001 WHERE variant = 'vadd/named hint=low time=1'"
"$tune" export --format kernel-tuner --db "$db" --out "$scratch/damaged" vadd >"$scratch/out.txt" 2>"$scratch/err.txt"
check "a changed row is left out" grep -q " 7 configurations" "$scratch/out.txt"
check "and counted" grep -q "1 damaged" "$scratch/err.txt"
query "$db" "DELETE FROM result WHERE time_us > 0"
refused "a database without measurements" 1 "no measurements" --format t4 --db "$db" --out "$scratch/none"
finish
