#!/bin/bash
# `tune verify`: winners that are right pass; with --against, both files' winners race; a kernel that an oracle no longer agrees with fails.
. "$(dirname "$0")/lib.sh"
a='norm m=16 d=96 kind=rms dtype=fp32 add=0'
b='embedding t=8 v=100 d=32 dtype=fp32'
tune_into() { "$tune" --gpu cpu --problem "$a" --problem "$b" --db "$1" --budget "$2" --seed "$3" --quiet; }
last() { tail -n 1 "$1" | python3 -c "import json,sys; print(json.load(sys.stdin)['$2'])"; }

check "first tune" tune_into "$scratch/one.db" 10s 1
check "second tune" tune_into "$scratch/two.db" 10s 2
check "a good database" "$tune" verify --gpu cpu --db "$scratch/one.db" --quiet
"$tune" verify --gpu cpu --db "$scratch/one.db" --against "$scratch/two.db" --json --quiet >"$scratch/against.out"
check "all are right" test "$(last "$scratch/against.out" right)" = 2
check "one line a problem, then the sum" test "$(wc -l <"$scratch/against.out")" = 3
"$tune" verify --gpu cpu --db "$scratch/one.db" --sample 1 --json --quiet >"$scratch/sample.out"
check "--sample 1 takes one" test "$(wc -l <"$scratch/sample.out")" = 2
check "a picked problem only" bash -c "test \$('$tune' verify --gpu cpu --db '$scratch/one.db' --problem '$b' --json --quiet | wc -l) = 2"

# Templates whose oracle says something else: the stored kernel is what is wrong then.
cp -r templates "$scratch/templates"
sed -i 's/p->out\[/1 + p->out[/; s/p->eps/(p->eps + 1)/' "$scratch/templates/norm/ref.c"
check "the oracle was changed" test "$(cmp templates/norm/ref.c "$scratch/templates/norm/ref.c" >/dev/null; echo $?)" = 1
mkdir "$scratch/other" && mv "$scratch/templates/norm" "$scratch/other/norm"
"$tune" verify --gpu cpu --db "$scratch/one.db" --templates-root "$scratch/templates" --templates "$scratch/other" --quiet >"$scratch/wrong.out" 2>&1
check "a wrong kernel exits 1" test $? = 1
check "and is named" grep -q "^wrong .*norm" "$scratch/wrong.out"
check "the other is right" grep -q "^right .*embedding" "$scratch/wrong.out"

"$tune" verify --gpu cpu --db "$scratch/none.db" 2>"$scratch/none.err"
check "no database exits 1" test $? = 1
check "by name" grep -q none.db "$scratch/none.err"
"$tune" verify --budget 3s 2>/dev/null
check "a foreign option exits 2" test $? = 2
"$tune" verify --gpu sm_75 --db "$scratch/one.db" 2>/dev/null
check "no such device exits 3" test $? = 3
finish
