#!/bin/bash
# Every fuzz target takes every input of its corpus under ASan and UBSan (`make asan` builds them).
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
for source in tests/fuzz/*_fuzz.c; do
    target=$(basename "$source" _fuzz.c)
    if timeout 300 "build/asan/replay/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)) && echo "FAILED: $target" && tail -n 30 "$log"; fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
