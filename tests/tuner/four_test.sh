#!/bin/bash
# Four tuners on one database at once: none fails, no printed result is missing, the file is sound, each problem has its winner.
. "$(dirname "$0")/lib.sh"
db=$scratch/shared.db
problems=('norm m=16 d=96 kind=rms dtype=fp32 add=0' 'argmax m=3 v=2000' 'embedding t=5 v=50 d=64 dtype=bf16' 'gemv n=70 k=50 dtype=fp32 out=fp32')
tuners=()
for n in 0 1 2 3; do # each its own order: they meet on the same problems, and create the file together
    picks=()
    for k in 0 1 2 3; do picks+=(--problem "${problems[(n + k) % 4]}"); done
    "$tune" --gpu cpu "${picks[@]}" --db "$db" --budget 20s --jobs 1 --json --quiet >"$scratch/lines$n" 2>"$scratch/err$n" &
    tuners+=($!)
done
for n in 0 1 2 3; do
    wait "${tuners[n]}"
    check "tuner $n ends well" test $? = 0
    check "tuner $n says nothing of an error" test ! -s "$scratch/err$n"
done
query "$db" "SELECT problem.text || ' | ' || variant FROM result JOIN problem ON problem.id = problem_id" | sort -u >"$scratch/stored"
sed -n 's/^{"problem":"\([^"]*\)","variant":"\([^"]*\)","status".*}$/\1 | \2/p' "$scratch"/lines? | sort -u >"$scratch/printed"
check "results were printed" test -s "$scratch/printed"
check "no printed result is missing" test "$(comm -23 "$scratch/printed" "$scratch/stored" | wc -l)" = 0
check "the file is sound" test "$(query "$db" "PRAGMA integrity_check")" = ok
check "no row points nowhere" test -z "$(query "$db" "PRAGMA foreign_key_check")"
check "every problem has one winner" test "$(query "$db" "SELECT count(*) FROM winner")" = 4
finish
