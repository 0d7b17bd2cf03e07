#!/bin/bash
# The runtime needs no compiler, no Lua, no NVRTC and no toolkit: infer runs with an empty PATH and an empty environment,
# in a folder that holds nothing but itself, a database and a model.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp build/infer "$work/infer"
cp "$TUNESMITH_TEST_DB" "$work/kernels.db"
cp -r tests/fixtures/mamba-shakespeare "$work/model"
chmod go-w "$work/kernels.db"
cd "$work"
text=$(env -i PATH= ./infer -m model --db kernels.db --device cpu --dtype fp32 -p $'ROMEO:\n' -n 80)
expected=$(python3 -c "import json; t = json.load(open('model/expected.json')); print(t['greedy_text'][len(t['prompt']):])")
[ "$text" = "$expected" ] || { printf 'expected:\n%s\ngot:\n%s\n' "$expected" "$text"; exit 1; }
echo "1 passed, 0 failed, 0 skipped"
