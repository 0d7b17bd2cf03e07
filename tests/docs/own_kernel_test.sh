#!/bin/bash
# README's "Your own kernel": exactly its files and its commands, in an empty folder; then its CUDA version for sm_86.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/docs/section -v heading='## Your own kernel' -v dir="$work" README.md
ln -s "$root/build" "$work/build"
cd "$work"
bash -eu commands.sh >out 2>err || { cat out err; exit 1; }
grep -q '^vadd/chunks chunk=[0-9]*: 999999.0 + 0.5 = 999999.5$' out || { echo "unexpected output:"; cat out; exit 1; }
passed=1 skipped=0
lines=$(cat my-kernels/vadd/{family.lua,args.h,1_chunks.c.in} | wc -l)
[ "$lines" -le 40 ] || { echo "the CPU family has $lines lines; few are promised"; exit 1; }
# A wrong kernel must not pass: the oracle is the user's own.
sed -i 's|a->x\[i\] + a->y\[i\]|a->x[i] - a->y[i]|' my-kernels/vadd/1_chunks.c.in
if build/tune check --gpu cpu --templates my-kernels --family vadd >wrong 2>&1; then echo "a wrong kernel passed"; cat wrong; exit 1; fi
passed=$((passed + 1))
if TUNESMITH_NVRTC=$("$root/tests/find-nvrtc"); then
    export TUNESMITH_NVRTC
    build/tune check --gpu sm_86 --templates my-kernels --family vadd --compile-only >cuda 2>&1 || { cat cuda; exit 1; }
    grep -qx '3 passed, 0 failed, 0 skipped' cuda || { cat cuda; exit 1; }
    passed=$((passed + 1))
else skipped=1; fi
echo "$passed passed, 0 failed, $skipped skipped"
