#!/bin/bash
# What a second run does: nothing if nothing changed; the changed family, and no other, if a template did.
. "$(dirname "$0")/lib.sh"
db=$scratch/tuned.db
a='norm m=16 d=96 kind=rms dtype=fp32 add=0'
b='embedding t=8 v=100 d=32 dtype=fp32'
cp -r templates "$scratch/templates"
run() { "$tune" --gpu cpu --templates-root "$scratch/templates" --problem "$a" --problem "$b" --db "$db" --budget 20s "$@"; }
state() { query "$db" "SELECT count(*), max(id) FROM result; SELECT problem_id, variant, hash FROM winner ORDER BY problem_id"; }
results_of() { query "$db" "SELECT count(*) FROM result JOIN problem ON problem.id = problem_id WHERE text LIKE '$1 %'"; }

check "first run" run
check "both problems have a finished winner" test "$(query "$db" "SELECT count(*) FROM winner WHERE ci_low_us > 0")" = 2
before=$(state)
run >"$scratch/second.out" 2>"$scratch/second.err"
check "second run exits 0" test $? = 0
check "second run says so" grep -q "nothing new to measure" "$scratch/second.err"
check "second run measures nothing" test "$(state)" = "$before"
check "second run still prints the winners" grep -qF "$a" "$scratch/second.out"

# A comment is enough: the expanded source differs.
norm=$(results_of norm) embedding=$(results_of embedding)
sed -i '1i // edited' "$scratch/templates/norm/1_rows.c.in"
run >"$scratch/third.out" 2>"$scratch/third.err"
check "after the edit" test $? = 0
check "the edited family is measured again" test "$(results_of norm)" -gt "$norm"
check "the other is not" test "$(results_of embedding)" = "$embedding"
check "a fourth run finds nothing" bash -c "$(declare -f run); tune='$tune' scratch='$scratch' a='$a' b='$b' db='$db'; run 2>&1 | grep -q 'nothing new'"

# --fresh measures again, an added family is found by its folder, a foreign flag is a usage error.
results=$(query "$db" "SELECT max(id) FROM result")
check "--fresh" run --fresh
check "--fresh measured" test "$(query "$db" "SELECT max(id) FROM result")" -gt "$results"
check "toy family" "$tune" --gpu cpu --templates tests/fixtures/toy_templates --family axpy --db "$scratch/toy.db" --budget 10s
check "toy winner" test "$(query "$scratch/toy.db" "SELECT count(*) FROM winner WHERE variant LIKE 'axpy/%'")" = 1
check "toy target" "$tune" --gpu toy-cpu --templates tests/fixtures/toy_templates --family axpy --dry-run --json
"$tune" --no-such-flag 2>/dev/null
check "an unknown flag exits 2" test $? = 2
"$tune" --gpu cpu --problem 'norm m=16 d=96 kind=none dtype=fp32' 2>/dev/null
check "an impossible problem exits 2" test $? = 2
"$tune" --gpu sm_86 --require-device --problem "$a" --db "$scratch/none.db" 2>/dev/null
status=$?
if [ $status = 3 ]; then check "--require-device exits 3 and makes no file" test ! -e "$scratch/none.db"
else skipped=$((skipped + 1)); fi
finish
