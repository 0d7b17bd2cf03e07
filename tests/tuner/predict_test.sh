#!/bin/bash
# `tune --gpu sm_86` where no such card is: compiled, ranked, stored as predicted, and nothing pretends to be measured.
. "$(dirname "$0")/lib.sh"
db=$scratch/predicted.db
gemm='gemm m=512 n=1024 k=256 dtype=bf16 out=bf16 act=none'
norm='norm m=16 d=96 kind=rms dtype=fp32 add=0'
cp -r templates "$scratch/templates"
run() { "$tune" --gpu sm_86 --templates-root "$scratch/templates" --problem "$gemm" --problem "$norm" --db "$db" "$@"; }

if "$tune" --gpu sm_86 --require-device --dry-run --problem "$norm" >/dev/null 2>&1; then
    skipped=1 # a card of this kind would measure
    echo "skipped: an sm_86 device is here"
    finish
    exit 77
fi

run >"$scratch/out" 2>"$scratch/err"
check "ends well" test $? = 0
check "one notice names what was found" test "$(grep -c 'no sm_86 device here; found: ' "$scratch/err")" = 1
check "and the command for the target" grep -q "tune --gpu sm_86 --db $db" "$scratch/err"
check "every entry is predicted, without a time" test "$(query "$db" "SELECT count(*) FROM winner WHERE evidence = 'predicted' AND time_us IS NULL")" = 2
check "the ranked entry says its expected regret" grep -qE 'gemm m=512.*predicted, regret ([0-9]+ %|unknown)' "$scratch/out"
check "a family without costs keeps its default and says so" grep -qE 'norm m=16.*predicted, default, not ranked' "$scratch/out"
check "for any device of the target" test "$(query "$db" "SELECT count(*) FROM winner JOIN device ON device.id = device_id WHERE device.name = ''")" = 2
check "no result has a time" test "$(query "$db" "SELECT count(*) FROM result WHERE time_us IS NOT NULL")" = 0
check "the default is stored beside the pick" test "$(query "$db" "SELECT count(*) FROM kernel WHERE is_default = 1 AND family = 'gemm'")" = 1

before=$(query "$db" "SELECT problem_id, variant, hash FROM winner ORDER BY problem_id; SELECT count(*), max(id) FROM result")
run >/dev/null 2>"$scratch/err"
check "a second run exits 0" test $? = 0
check "a second run has nothing to do" grep -q "nothing new to measure" "$scratch/err"
check "and changes nothing" test "$(query "$db" "SELECT problem_id, variant, hash FROM winner ORDER BY problem_id; SELECT count(*), max(id) FROM result")" = "$before"

# The family's costs decide: turned round, they pick the slowest-looking variant.
sed -i 's/latency = "5000 + 100/latency = "1e9 - 100/' "$scratch/templates/gemm/family.lua"
run >/dev/null 2>&1
check "other costs, another pick" test "$(query "$db" "SELECT count(*) FROM winner JOIN problem ON problem.id = problem_id WHERE text LIKE 'gemm%' AND instr('$before', variant) > 0")" = 0

"$tune" --gpu sm_86 --dry-run --json --problem "$norm" >"$scratch/dry" 2>/dev/null
check "a dry run lists registers" grep -q '"status":"ok".*"registers":[1-9]' "$scratch/dry"
check "a family without costs is not ranked" test "$(grep -c '"estimate_us":null,"rank":null' "$scratch/dry")" = "$(wc -l <"$scratch/dry")"
# Two problems of one specialization: one list, by the sum of both estimates.
heads='hq=2 hkv=2 head_dim=64 dtype=fp32 causal=1 varlen=0'
"$tune" --gpu sm_86 --dry-run --json --problem "sdpa b=1 lq=64 lk=64 $heads" --problem "sdpa b=1 lq=512 lk=512 $heads" >"$scratch/dry" 2>"$scratch/dry.err"
check "a dry run ranks, best first, each variant once" python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
ranked = [line for line in lines if line["rank"]]
assert len({line["variant"] for line in lines}) == len(lines) > 3, len(lines)
assert len(ranked) > 3 and lines[:len(ranked)] == ranked
assert [line["rank"] for line in ranked] == list(range(1, len(ranked) + 1))
assert [line["estimate_us"] for line in ranked] == sorted(line["estimate_us"] for line in ranked)
assert all(line["status"] == "ok" for line in ranked) and ranked[0]["estimate_us"] < ranked[-1]["estimate_us"]
' "$scratch/dry"
check "and says how many" grep -qE '^([0-9]+) of \1 variants of 1 specializations for sm_86: [0-9]+ compile, [0-9]+ rejected; [1-9][0-9]* ranked' "$scratch/dry.err"
"$tune" --gpu sm_86 --require-device --problem "$norm" --db "$scratch/none.db" >/dev/null 2>"$scratch/err"
check "--require-device exits 3" test $? = 3
check "with one line on stderr" test "$(wc -l <"$scratch/err")" = 1
finish
