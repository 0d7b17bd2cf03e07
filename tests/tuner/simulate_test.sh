#!/bin/bash
# `tune simulate`: known shares on a known space, plain and packed; broken files are named, not replayed.
. "$(dirname "$0")/lib.sh"
space=tests/fixtures/recorded/example.json # 20 configurations, 2 failed, the best takes 10
value() { tail -n 1 "$1" | python3 -c "import json,sys; print(json.load(sys.stdin)['$2'])"; }
simulate() { "$tune" simulate "$@"; }
refused() { # WHAT WORD FILE: exit 1 and a message with the word
    simulate "$3" >/dev/null 2>"$scratch/refused.err"
    check "$1 exits 1" test $? = 1
    check "$1 is named" grep -q "$2" "$scratch/refused.err"
}

# In declared order the first is one that failed, the second takes 14, and the eleventh is the best but one.
simulate $space --strategy exhaustive --evals 1,2,20 --repeats 3 --json >"$scratch/one.out"
check "a failure alone reaches nothing" test "$(head -n 1 "$scratch/one.out" | grep -c '"mean":0.0000')" = 1
check "the second evaluation" grep -q '"evals":2,"repeats":3,"mean":0.7143,"p10":0.7143' "$scratch/one.out"
check "all of it reaches the best" test "$(value "$scratch/one.out" mean)" = 1.0
simulate $space --json --evals 20 --repeats 2 >"$scratch/all.out"
check "every strategy is replayed" test "$(wc -l <"$scratch/all.out")" -ge 7
check "and each finds the best of the whole space" test "$(grep -c '"mean":1.0000' "$scratch/all.out")" = "$(wc -l <"$scratch/all.out")"
gzip -c $space >"$scratch/space.json.gz"
simulate "$scratch/space.json.gz" --strategy random --evals 5 --json >"$scratch/packed.out"
simulate $space --strategy random --evals 5 --json >"$scratch/plain.out"
check "gzip or not is the same" cmp "$scratch/packed.out" "$scratch/plain.out"

head -c 300 "$scratch/space.json.gz" >"$scratch/cut.gz"
refused "a cut-off gzip file" "cut" "$scratch/cut.gz"
head -c 200 $space >"$scratch/cut.json"
refused "a text cut off before its first configuration" "cut.json: line" "$scratch/cut.json"
echo '{"a": 1}' >"$scratch/foreign.json"
refused "a foreign file" "tune_params_keys" "$scratch/foreign.json"
echo '{"tune_params_keys": ["a"], "cache": {}}' >"$scratch/empty.json"
refused "an empty cache" '"cache" is empty' "$scratch/empty.json"
echo '{"tune_params_keys": ["a"], "cache": {"1": {"a": 1, "time": "InvalidConfig"}}}' >"$scratch/failed.json"
refused "a cache of failures" 'number as "time"' "$scratch/failed.json"
echo '{"tune_params_keys": ["a", "b"], "cache": {"1": {"a": 1, "time": 2}}}' >"$scratch/short.json"
refused "a missing tunable" "no value of b" "$scratch/short.json"
refused "no file" "none.json" "$scratch/none.json"
for flags in "--strategy none" "--evals 0" "--evals 50,20" "--repeats x"; do
    simulate $space $flags 2>/dev/null
    check "$flags exits 2" test $? = 2
done
finish
