#!/bin/bash
# `tune verify --held-out`: shapes between and beyond the tuned ones; the loss of the runtime's pick there, by family; a wrong kernel fails.
. "$(dirname "$0")/lib.sh"
cp -r $here/templates "$scratch/templates"
tune_into() { "$tune" --gpu cpu --templates "$scratch/templates" --family stepped --budget 20s --quiet --db "$1"; }
held_out() { "$tune" verify --held-out --gpu cpu --templates "$scratch/templates" --quiet "$@"; }
field() { # FILE PROBLEM KEY: of the line of a problem (a family or null: of a sum)
    python3 - "$@" <<'PY'
import json, sys
for line in map(json.loads, open(sys.argv[1])):
    if line.get("problem", str(line.get("family"))) == sys.argv[2]: print(line[sys.argv[3]])
PY
}
between='stepped n=4097 dtype=fp32' beyond='stepped n=131073 dtype=fp32'

check "tune two points" tune_into "$scratch/one.db"
check "they have two winners" test "$(query "$scratch/one.db" "SELECT count(DISTINCT variant) FROM winner JOIN target ON target.id = target_id WHERE evidence = 'measured'")" = 2
check "right everywhere" held_out --db "$scratch/one.db"
held_out --db "$scratch/one.db" --json >"$scratch/lines"
check "two shapes, the family, all" test "$(wc -l <"$scratch/lines")" = 4
check "the runtime picks the nearest" test "$(field "$scratch/lines" "$between" variant)" = "stepped/whole way=2"
check "the other is better" test "$(field "$scratch/lines" "$between" best)" = "stepped/whole way=1"
check "a loss between" python3 -c "assert $(field "$scratch/lines" "$between" loss) > 1"
check "none beyond" python3 -c "assert $(field "$scratch/lines" "$beyond" loss) < 0.5"
check "the worst is the family's" test "$(field "$scratch/lines" stepped worst_loss)" = "$(field "$scratch/lines" "$between" loss)"
check "the sum over all" test "$(field "$scratch/lines" None shapes)" = 2
held_out --db "$scratch/one.db" --sample 1 --json >"$scratch/one.out"
check "--sample 1 takes one" test "$(wc -l <"$scratch/one.out")" = 3
held_out --db "$scratch/one.db" --problem 'norm m=1 d=8 kind=rms dtype=fp32 add=0' >/dev/null 2>"$scratch/none.err"
check "nothing picked exits 1" test $? = 1
check "and says so" grep -q "no winner for .* among the problems picked" "$scratch/none.err"

# Right where it was tuned and in all cases, wrong between.
sed -i 's/2.0f \* a->x\[i\];/(a->n == 4097 ? 3.0f : 2.0f) * a->x[i];/' "$scratch/templates/stepped/1_whole.c.in"
check "tune a kernel that is wrong elsewhere" tune_into "$scratch/wrong.db"
held_out --db "$scratch/wrong.db" >"$scratch/wrong.out"
check "it exits 1" test $? = 1
check "and names shape and variant" grep -q "^wrong .*n=4097 .*stepped/whole way=2: wrong: " "$scratch/wrong.out"
finish
