#!/bin/bash
# A disk that is full, a folder that is read-only: one clear line, exit 1, and what was committed stays whole.
. "$(dirname "$0")/lib.sh"
norm='norm m=16 d=96 kind=rms dtype=fp32 add=0'
disk=$scratch/disk
mkdir -p "$disk"
if ! mount -t tmpfs -o size=1m tmpfs "$disk" 2>/dev/null; then
    skipped=1 # needs the right to mount
    echo "skipped: cannot mount a small disk here"
    finish
    exit 77
fi
trap 'umount "$disk"; rm -rf "$scratch"' EXIT

check "a database on the small disk" "$tune" --gpu cpu --problem "$norm" --db "$disk/t.db" --budget 5s --quiet
results=$(query "$disk/t.db" "SELECT count(*) FROM result")
head -c 2M /dev/zero >"$disk/filler" 2>/dev/null
"$tune" --gpu cpu --family gemv --db "$disk/t.db" --budget 5s --quiet >"$scratch/out" 2>"$scratch/err"
check "a full disk exits 1" test $? = 1
check "and says so in one line" test "$(wc -l <"$scratch/err")" = 1
check "naming file and cause" grep -qE "t\.db: .*full" "$scratch/err"
before=$(query "$disk/t.db" "SELECT group_concat(hash) FROM winner; SELECT count(*) FROM kernel")
"$tune" --gpu cpu --problem 'embedding t=8 v=100 d=32 dtype=fp32' --db "$scratch/part.db" --budget 5s --quiet >"$scratch/out" 2>&1
"$tune" merge --db "$disk/t.db" "$scratch/part.db" >"$scratch/out" 2>"$scratch/err"
check "merging onto a full disk exits 1" test $? = 1
check "and says so in one line" test "$(grep -cE "t\.db: .*full" "$scratch/err")" = 1
check "the database holds what it held" test "$(query "$disk/t.db" "SELECT group_concat(hash) FROM winner; SELECT count(*) FROM kernel")" = "$before"
"$tune" merge --db "$disk/new.db" "$scratch/part.db" >"$scratch/out" 2>"$scratch/err"
check "a new one exits 1" test $? = 1
check "and leaves no file" test "$(ls "$disk")" = $'filler\nt.db'
rm "$disk/filler"
check "the file is whole" test "$(query "$disk/t.db" "PRAGMA integrity_check")" = ok
check "nothing committed is lost" test "$(query "$disk/t.db" "SELECT count(*) FROM result")" -ge "$results"
check "with room again the same command ends well" "$tune" --gpu cpu --problem "$norm" --db "$disk/t.db" --quiet

mount -o remount,ro "$disk"
"$tune" --gpu cpu --problem "$norm" --db "$disk/t.db" --budget 5s --quiet --fresh >"$scratch/out" 2>"$scratch/err"
check "a read-only folder exits 1" test $? = 1
check "in one line" test "$(wc -l <"$scratch/err")" = 1
check "that names the file" grep -q "t.db" "$scratch/err"
check "reading it goes on working" "$tune" ls --db "$disk/t.db"
mount -o remount,rw "$disk"
finish
