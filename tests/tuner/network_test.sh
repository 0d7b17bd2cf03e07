#!/bin/bash
# A database on a network file system: tuned on a copy of this machine, replaced in one step, never half-written.
. "$(dirname "$0")/lib.sh"
shim=$scratch/statfs.so db=$scratch/network/folder/t.db
problem='norm m=16 d=96 kind=rms dtype=fp32 add=0' other='embedding t=8 v=100 d=32 dtype=fp32'
mkdir -p "$scratch/network" "$scratch/local"
check "the shim builds" cc -shared -fPIC -o "$shim" $here/network_statfs.c -ldl
export TMPDIR=$scratch/local
start() { exec env LD_PRELOAD="$shim" "$tune" --gpu cpu --db "$db" --budget 20s "$@" 2>"$scratch/err" >"$scratch/out"; }
run() { (start "$@"); }
copies() { find "$scratch/local" -name '*.db' | wc -l; }

run --problem "$problem"
check "tuned" test $? = 0
check "one line says what is done" test "$(grep -c 'network file system (nfs): working on' "$scratch/err")" = 1
check "the folder has the database and nothing else" test "$(ls "$(dirname "$db")")" = t.db
check "it is whole" test "$(query "$db" "PRAGMA integrity_check; SELECT count(*) FROM winner")" = $'ok\n1'
check "no copy is left" test "$(copies)" = 0
run --problem "$problem"
check "a second run finds everything there" grep -q "nothing new to measure" "$scratch/err"

before=$(sha256sum <"$db")
start --family gemv --fresh &
for _ in $(seq 200); do [ "$(copies)" = 1 ] && break; sleep 0.05; done
sleep 1
kill -KILL $!
wait 2>/dev/null
check "a killed run leaves the original as it was" test "$(sha256sum <"$db")" = "$before"
check "and its copy" test "$(copies)" = 1
run --problem "$other"
check "the next run goes on with it" test $? = 0
check "and publishes both" test "$(query "$db" "SELECT count(DISTINCT problem_id) FROM result")" -ge 2
check "then no copy is left" test "$(copies)" = 0

run --problem "$problem" --fresh &
for _ in $(seq 200); do [ "$(copies)" = 1 ] && break; sleep 0.05; done
touch "$db"
wait $!
check "an original that changed meanwhile is not overwritten" test $? = 1
check "and both files are named" grep -q "t.db was changed by another program.*$scratch/local" "$scratch/err"

# Merging: from there and to there.
check "a part" "$tune" --gpu cpu --problem 'argmax m=3 v=2000' --db "$scratch/part.db" --budget 2s --quiet
rm -rf "$scratch/local"/*
LD_PRELOAD="$shim" "$tune" merge --db "$db" "$scratch/part.db" "$db" >"$scratch/out" 2>"$scratch/err"
check "merged" test $? = 0
check "into the original" test "$(query "$db" "SELECT count(*) FROM problem WHERE text LIKE 'argmax%'")" = 1
check "which stands alone, and no copy is left" test "$(ls "$(dirname "$db")") $(copies)" = "t.db 0"

TMPDIR=$scratch/network run --problem "$problem"
check "no local folder: refused" test $? = 1
check "with what to set" grep -q "set TMPDIR to a folder on a disk of this machine" "$scratch/err"
finish
