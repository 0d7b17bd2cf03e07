#!/bin/bash
# A family whose variants go wrong in every way: each costs one row with its reason, and the right one wins.
# Usage: faults_test.sh [cpu|auto]   auto: on the GPU (tests/gpu/run faults)
. "$(dirname "$0")/lib.sh"
db=$scratch/faults.db
gpu=${1:-cpu} version=rows line=1_rows.c.in:9 illegal="signal 11"
[ "$gpu" = cpu ] || version=gpu_rows line=1_rows.cu.in illegal=ILLEGAL_ADDRESS

check "tune ends well" "$tune" --gpu "$gpu" --templates $here/templates --family faulty --db "$db" --timeout 2s --budget 1m --quiet
expect() { # FAULT STATUS REASON-PART
    local row
    row=$(query "$db" "SELECT status || ': ' || reason FROM result JOIN target ON target.id = target_id
        WHERE variant = 'faulty/$version fault=$1' AND target.name = (SELECT target.name FROM winner JOIN target ON target.id = target_id)")
    check "$1" grep -qF "$3" <<<"$row"
    check "$1 is $2" test "${row%%:*}" = "$2"
}
expect none ok ""
expect element wrong "pad=(x=3 y=11): y[1,4] differs"
expect past_end wrong "past the end of y"
expect between_rows wrong "between rows of y"
expect unwritten wrong "y[2,4] was not written"
expect input wrong "wrote to the input x"
expect workspace wrong "outside its workspace"
expect reads_padding wrong "y[0,4] differs: got nan"
expect crash crash "$illegal"
[ "$gpu" = cpu ] || expect assert crash ASSERT
expect hang timeout "time limit"
expect compile compile "$line"
expect template constraint "this variant cannot be"
expect slow slow "far slower"
check "the right variant wins" test "$(query "$db" "SELECT variant || ' ' || verdict FROM winner")" = "faulty/$version fault=none default"
check "the file stands alone" test "$(query "$db" "PRAGMA journal_mode")" = delete

# The same through `tune check`.
wrong=10
[ "$gpu" = cpu ] || wrong=11 # the assert
"$tune" check --gpu "$gpu" --templates $here/templates --family faulty --timeout 2s --quiet >"$scratch/check.txt"
check "check exits 1" test $? = 1
check "check counts" grep -qx "2 passed, $wrong failed, 1 skipped" "$scratch/check.txt"
finish
