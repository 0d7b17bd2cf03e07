#!/bin/bash
# A budget of variants is kept, also over an interruption; the winners of an earlier run are the first guesses of the next.
. "$(dirname "$0")/lib.sh"
db=$scratch/tuned.db
a='causal_conv1d b=1 l=32 d=64 width=4 dtype=fp32 act=silu'
near='causal_conv1d b=1 l=64 d=64 width=4 dtype=fp32 act=silu'
run() { "$tune" --gpu cpu --db "$db" --quiet "$@"; }
results() { query "$db" "SELECT count(*) FROM result JOIN problem ON problem.id = problem_id WHERE text = '$1'"; }
size=$("$tune" --gpu cpu --dry-run --json --quiet --problem "$a" | wc -l)

check "so many variants of each problem" run --budget 4evals --problem "$a"
# The default of the oldest level is a result of the problem as well.
own="SELECT count(*) FROM result JOIN target ON target.id = target_id WHERE target.name = (SELECT target.name FROM winner JOIN target ON target.id = target_id)"
check "the default and three more" test "$(query "$db" "$own")" = 4

# As if killed before the finals: the winner is provisional, two of the results are lost. Only those are measured again.
check "a fresh run" run --fresh --budget 4evals --problem "$a"
newest=$(query "$db" "SELECT max(id) FROM result")
query "$db" "DELETE FROM winner; DELETE FROM result WHERE id > $newest - 2"
kept=$(query "$db" "SELECT count(*) FROM result")
check "the same command goes on" run --budget 4evals --problem "$a"
check "for what is left of the budget" test "$(query "$db" "SELECT count(*) FROM result")" = $((kept + 2))
check "and ends with a winner" test "$(query "$db" "SELECT count(*) FROM winner WHERE ci_low_us > 0")" = 1

rm -f "$db"
check "a share of the space" run --budget 50% --problem "$a"
check "is half of it" test "$(query "$db" "$own")" = $(((size + 1) / 2))

# All of one problem, then two variants of its neighbour: the default and the winner next door.
rm -f "$db"
check "one problem whole" run --budget 100% --problem "$a"
winner=$(query "$db" "SELECT variant FROM winner")
check "its neighbour" run --budget 2evals --problem "$near"
# Where the default itself had won there, it is tried in any case.
check "is tried with the winner next door" test "$(query "$db" "SELECT count(*) FROM result JOIN problem ON problem.id = problem_id WHERE text = '$near' AND variant = '$winner'")" -ge 1

for budget in x 3x -1evals 1.5evals 101%; do
    run --budget "$budget" --problem "$a" 2>"$scratch/err"
    check "--budget $budget exits 2" test $? = 2
    check "and says what is accepted" grep -q '200evals.*25%' "$scratch/err"
done
finish
