#!/bin/bash
# Kernel Tuner itself reads what `tune export` writes: it replays the cache of a space that was tuned exhaustively here, in
# simulation mode and with strategies of its own, to the same optimum; goes on writing a cache of ours; and the T4 files
# keep to the schemas that it carries. Installs it into build/extra-venv and fails where it cannot.
. "$(dirname "$0")/../tuner/lib.sh"
venv=build/extra-venv
[ -x $venv/bin/python ] || python3 -m venv $venv || exit 1
$venv/bin/python -m pip install -q --disable-pip-version-check 'kernel_tuner==1.5.0' jsonschema >"$scratch/pip.log" 2>&1 ||
    { echo "FAILED: Kernel Tuner cannot be installed:"; tail -n 5 "$scratch/pip.log"; exit 1; }

gemm='gemm m=64 n=64 k=64 dtype=fp32 out=fp32 act=none'
check "a space of two versions, whole" "$tune" --gpu cpu --problem "$gemm" --strategy exhaustive --budget 10m --db "$scratch/t.db" --quiet
check "a space of one version, whole" "$tune" --gpu cpu --problem 'gemv n=256 k=512 dtype=fp32 out=fp32 act=none' \
    --strategy exhaustive --budget 10m --db "$scratch/t.db" --quiet
check "a space in which most fail" "$tune" --gpu cpu --templates tests/tuner/templates --family faulty --strategy exhaustive \
    --timeout 1s --budget 10m --db "$scratch/t.db" --quiet
check "caches" "$tune" export --format kernel-tuner --db "$scratch/t.db" --out "$scratch/cache"
check "T4 results" "$tune" export --format t4 --db "$scratch/t.db" --out "$scratch/t4"
timeout 300 $venv/bin/python -W ignore tests/extra/replay.py "$scratch" >"$scratch/python.txt" 2>&1
status=$?
cat "$scratch/python.txt"
check "Kernel Tuner ran to the end" test $status = 0
passed=$((passed + $(grep -c '^ok ' "$scratch/python.txt"))) failed=$((failed + $(grep -c '^FAILED ' "$scratch/python.txt")))
for cache in "$scratch"/cache/*.json; do # again, after Kernel Tuner has had them
    check "simulate reads $(basename "$cache")" "$tune" simulate "$cache" --evals 5 --repeats 5
done
finish
