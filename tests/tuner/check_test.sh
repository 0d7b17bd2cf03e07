#!/bin/bash
# tune check: which variants, what it says of them, and --time.
. "$(dirname "$0")/lib.sh"
problem='norm m=16 d=96 kind=rms dtype=fp32 add=0'
out=$scratch/out
names() { sed -n 's/.* | //p' "$out" | sort | tr '\n' ',' ; }

check "one version" "$tune" check --gpu cpu --problem "$problem" --variant norm/rows --quiet
check "two variants are timed" "$tune" check --gpu cpu --problem "$problem" --time --quiet \
    --variant 'norm/rows rows=4' --variant 'norm/rows rows=1'
cp "$scratch/check.log" "$out"
check "their names" test "$(names)" = "norm/rows rows=1,norm/rows rows=4,"
check "their times" test "$(grep -cE '^ +[0-9]+\.[0-9]{2} us \+- +[0-9.]+ %  norm ' "$out")" = 2
check "the count" grep -qx "2 passed, 0 failed, 0 skipped" "$out"
check "nothing is timed unasked" "$tune" check --gpu cpu --problem "$problem" --quiet
check "no times then" test "$(wc -l <"$scratch/check.log")" = 1

"$tune" check --gpu cpu --problem "$problem" --variant norm/none --quiet >"$out" 2>&1
check "a variant that is not there fails" test $? = 1
if [ ! -e /dev/nvidia0 ]; then
    "$tune" check --gpu sm_90a --problem "$problem" --time --quiet >"$out" 2>&1
    check "--time without the device exits 3" test $? = 3
    check "and says so" grep -q -- "--time needs a sm_90a device" "$out"
fi
finish
