#!/bin/bash
# README's worked example of embeddings from outside: a table of another width with its projection. Needs the test database.
cd "$(dirname "$0")/../.." || exit 1
/usr/bin/python3 -c 'import numpy' 2>/dev/null || { echo "python3-numpy is missing (make report installs it)"; exit 77; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
model=tests/fixtures/mamba-shakespeare
infer="build/infer --device cpu --dtype fp32 --db ${TUNESMITH_TEST_DB:-build/test.db} -m $model"
passed=0 failed=0
ok() { # NAME: the status of the command before
    if [ $? = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
perplexity() { $infer --perplexity $model/perplexity.txt --json --embeds "$tmp/$1.safetensors"; }
within() { python3 -c "import json, sys; p = json.load(sys.stdin)['perplexity']; sys.exit(not $1 <= p <= $2)"; }
tests/bench/report/embeds.py $model "$tmp" --widths 128,256; ok "the tables are made"
perplexity same | within 43.50 43.52; ok "the model's own table as the caller's"
perplexity width-256 | within 43.50 43.52; ok "a projection that loses nothing"
perplexity width-128 | within 60 65; ok "a table of half the width"
[ "$($infer -p 'ROMEO:' -n 40)" = "$($infer -p 'ROMEO:' -n 40 --embeds "$tmp/width-256.safetensors")" ]; ok "the same text through a projection"
[ -n "$($infer -p 'ROMEO:' -n 40 --embeds "$tmp/width-128.safetensors")" ]; ok "a text with half the width"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
