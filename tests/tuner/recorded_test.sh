#!/bin/bash
# `tune simulate` reads what Kernel Tuner has written over the years: files that were never closed, every spelling of a
# failure, numbers that JSON does not have, objectives of which more is better.
. "$(dirname "$0")/lib.sh"
head='{"device_name": "made up", "kernel_name": "k", "tune_params_keys": ["a", "b"], "tune_params": {"a": [1, 2], "b": ["x", "y"]}, "objective": "time", "cache": {'
ax='"1,x": {"a": 1, "b": "x", "time": 4.0, "times": [4.0, NaN], "compile_time": 10.5}'
ay='"1,y": {"a": 1, "b": "y", "time": 2.0, "compilation_time": 11}'
bx='"2,x": {"a": 2.0, "b": "x", "time": 8.0, "compile_time": 1}'
reads() { # WHAT CONFIGURATIONS FAILED BEST TEXT [NOTE]
    printf '%s' "$5" >"$scratch/space.json"
    "$tune" simulate "$scratch/space.json" --strategy exhaustive --evals 9 --repeats 1 >"$scratch/out" 2>"$scratch/err"
    check "$1 is read" test $? = 0
    check "$1: the contents" grep -qxF "k on made up: $2 configurations, $3 failed, best $4" "$scratch/out"
    if [ -n "$6" ]; then check "$1: the note" grep -qF "$6" "$scratch/err"; else check "$1: no note" test ! -s "$scratch/err"; fi
}
refused() { # WHAT WORDS TEXT
    printf '%s' "$3" >"$scratch/space.json"
    "$tune" simulate "$scratch/space.json" >"$scratch/out" 2>"$scratch/err"
    check "$1 exits 1" test $? = 1
    check "$1 is named in one line" test "$(grep -cF -e "$2" "$scratch/err"):$(wc -l <"$scratch/err")" = 1:1
}

reads "both spellings of the compile time" 3 0 2 "$head$ax, $ay, $bx}}"
reads "an old file without lists, sizes and objective" 3 0 2 \
    "{\"device_name\": \"made up\", \"kernel_name\": \"k\", \"tune_params_keys\": [\"a\", \"b\"], \"cache\": {$ax, $ay, $bx}}"
reads "a list of objectives" 2 0 2 "${head/\"time\"/[\"time\"]}$ax, $ay}}"

# How a configuration can have failed.
for time in '"InvalidConfig"' '"CompilationFailedConfig"' '"RuntimeFailedConfig"' '"ErrorConfig"' 1e20 1.7976931348623157e+308 NaN Infinity -Infinity null 0; do
    reads "a time of $time" 2 1 2 "$head$ay, \"2,y\": {\"a\": 2, \"b\": \"y\", \"time\": $time}}}"
done
reads "an error beside the time" 2 1 2 "$head$ay, \"2,y\": {\"a\": 2, \"b\": \"y\", \"time\": 1.0, \"__error__\": \"RuntimeFailedConfig\"}}}"
reads "an error and no time" 2 1 2 "$head$ay, \"2,y\": {\"a\": 2, \"b\": \"y\", \"__error__\": \"CompilationFailedConfig\"}}}"
reads "a text that looks like such a number" 2 0 2 "$head$ay, \"2,y\": {\"a\": 2, \"b\": \"NaN\", \"time\": 3}}}"

# More is better: the best is the largest, and a share is still at most 1.
reads "a rate" 2 0 50 "${head/\"time\"/\"GFLOP\/s\"}\"1,x\": {\"a\": 1, \"b\": \"x\", \"GFLOP/s\": 50}, \"1,y\": {\"a\": 1, \"b\": \"y\", \"GFLOP/s\": 40}}}"
"$tune" simulate "$scratch/space.json" --strategy exhaustive --evals 1 --repeats 1 --json >"$scratch/out"
check "the best of the rates is found" grep -q '"mean":1.0000' "$scratch/out"

# Files that were not finished.
note="unfinished: its 2 whole configurations"
reads "an open file" 2 0 2 "$head"$'\n'"$ax,"$'\n'"$ay," "$note"
reads "an open file without a comma" 2 0 2 "$head$ax,$ay" "$note"
reads "an open file on one line" 2 0 2 "$head$ax,$ay}" "$note"
reads "a line cut in a number" 2 0 2 "$head"$'\n'"$ax,"$'\n'"$ay,"$'\n''"2,x": {"a": 2, "b": "x", "time": 8.' "$note"
reads "a line cut in a list" 2 0 2 "$head$ax,$ay, \"2,x\": {\"a\": 2, \"times\": [1, 2" "$note"
reads "a line cut in a key" 2 0 2 "$head$ax,$ay, \"2" "$note"
printf '%s' "$head$ax,$ay, \"2" | gzip >"$scratch/space.json.gz"
"$tune" simulate "$scratch/space.json.gz" --evals 1 --repeats 1 >"$scratch/out" 2>"$scratch/err"
check "packed, an open file is read" grep -qF "$note" "$scratch/err"
refused "a file that ends in its first configuration" "line 1" "$head${ax%\}}"
refused "a file that ends in its head" "line 1" "${head%objective*}"
refused "garbage between two configurations" "line 1" "$head$ax, garbage, $ay}}"
refused "garbage in an open file" "line 1" "$head$ax, garbage, $ay,"
refused "an empty file" "line" ""
finish
