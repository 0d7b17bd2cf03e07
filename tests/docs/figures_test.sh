#!/bin/bash
# README's figures are those of tests/bench/results/, and the check would notice one that is not.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
verdict() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi; }

tests/bench/tables.py --check
verdict "README is what \`make docs\` writes" $?
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/tests/bench"
cp README.md "$copy/"
cp -r tests/bench/results tests/bench/tables.py "$copy/tests/bench/"
sed -i '/<!-- bench:kernels/,/<!-- \/bench/s/\([0-9]\)\.\([0-9]*\)x/\1.99x/' "$copy/README.md"
! "$copy/tests/bench/tables.py" --check 2>/dev/null
verdict "a changed figure is noticed" $?
"$copy/tests/bench/tables.py" && cmp -s README.md "$copy/README.md"
verdict "and written back" $?
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
