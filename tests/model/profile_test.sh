#!/bin/bash
# infer --profile: rows that add up to the elapsed time, for both models; the page (tests/extra/browser_test.sh looks at its
# bars); what cannot be written. Needs the test database (tests/run makes it).
cd "$(dirname "$0")/../.." || exit 1
export TUNESMITH_DB=${TUNESMITH_TEST_DB:-build/test.db}
infer="${TUNESMITH_TEST_INFER:-build/infer} --device ${TUNESMITH_TEST_DEVICE:-cpu}"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0
ok() { # NAME: the status of the command before
    if [ $? = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
rows() { # FILE EXPRESSION over head, rows and part (rows by name); true is success
    python3 - "$@" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
head = next(line for line in lines if line.get("figure") == "profile")
rows = [line for line in lines if "part" in line]
part = {row["part"]: row for row in rows}
def close(a, b, most=1e-3): return abs(a - b) <= most * abs(b)
sys.exit(not eval(f"({sys.argv[2]})"))
PY
}
adds_up="close(sum(r['time_us'] for r in rows), head['elapsed_us']) and close(sum(r['share'] for r in rows), 1) and
    len(part) == len(rows) and rows[-1]['part'] == 'host' and all(r['calls'] > 0 and r['step_time_us'] <= r['time_us'] for r in rows)"
# Every kernel has a limit; what is no kernel has none.
limits="all((r['limit_share'] is None) == (r['part'] in ('images', 'upload', 'download', 'host')) for r in rows) and
    all(r['limit_share'] > 0 and r['bytes'] > 0 for r in rows if r['limit_share'] is not None)"

mamba=tests/fixtures/mamba-shakespeare
$infer --dtype fp32 -m $mamba -p $'ROMEO:\n' -n 40 --json --profile >"$tmp/mamba"; ok "Mamba"
rows "$tmp/mamba" "$adds_up"; ok "Mamba: rows add up"
rows "$tmp/mamba" "$limits"; ok "Mamba: limits"
rows "$tmp/mamba" "set(part) == {'upload', 'download', 'host', 'embedding', 'head/norm', 'head/logits', 'sampling/argmax'} |
    {'text/' + s for s in ('norm', 'in_proj', 'conv', 'x_proj', 'dt_proj', 'scan', 'out_proj')}"; ok "Mamba: parts"
layers=$(python3 -c "import json; print(json.load(open('$mamba/config.json'))['num_hidden_layers'])")
rows "$tmp/mamba" "part['text/scan']['calls'] == 40 * $layers and part['sampling/argmax']['calls'] == 40 and
    part['text/scan']['step_time_us'] > 0 and head['new_tokens'] == 40 and head['reason'] == ''"; ok "Mamba: calls"
$infer --dtype fp32 -m $mamba -p $'ROMEO:\n' -n 8 --temp 1 --json --profile >"$tmp/sampled" &&
    rows "$tmp/sampled" "part['sampling/choice']['calls'] == 8 and $adds_up"; ok "sampling on the host"

digits=tests/fixtures/qwen2vl-mnist
ask() { $infer --dtype fp32 -m $digits -p 'What digit is this?' "$@"; }
ask --image $digits/cases/case0_0.png --json --profile="$tmp/page.html" >"$tmp/qwen"; ok "Qwen2-VL"
rows "$tmp/qwen" "$adds_up"; ok "Qwen2-VL: rows add up"
rows "$tmp/qwen" "$limits"; ok "Qwen2-VL: limits"
rows "$tmp/qwen" "{'images', 'upload', 'download', 'host', 'embedding', 'head/norm', 'head/logits', 'sampling/argmax'} < set(part) and
    {p[7:] for p in part if p.startswith('vision/')} == {'patch', 'norm', 'qkv', 'rotary', 'attention', 'projection', 'mlp', 'merger'} and
    {p[5:] for p in part if p.startswith('text/')} == {'norm', 'qkv', 'rotary', 'attention', 'projection', 'mlp'}"
ok "Qwen2-VL: parts"
rows "$tmp/qwen" "head['reported_vision_share'] == 0.979 and '97.9 %' in head['reason'] and
    close(head['vision_share'], sum(r['share'] for r in rows if r['part'].startswith('vision/')))"; ok "Qwen2-VL: the report's share"
# A step attends to the tokens there are, not to the room in the cache.
ask --image $digits/cases/case0_0.png --json -n 100 --profile >"$tmp/roomy" &&
    rows "$tmp/roomy" "part['text/attention']['flops'] == $(python3 -c "
import json; print([r for r in map(json.loads, open('$tmp/qwen')) if r.get('part') == 'text/attention'][0]['flops'])")"; ok "attention's keys"
ask --json --profile >"$tmp/blind" && rows "$tmp/blind" "head['vision_share'] == 0 and 'No image' in head['reason'] and $adds_up"; ok "no image"

# For people: the answer on stdout, the table on stderr.
[ "$(ask --image $digits/cases/case0_0.png --profile 2>"$tmp/table")" = nine ] && grep -qE '^  attention +[0-9]+ +[0-9.]+ +[0-9.]+ %' "$tmp/table" &&
    grep -q 'The report, which profiled Qwen2-VL, has 97.9 %' "$tmp/table"; ok "the table"

# The page needs nothing beside itself, and appears whole or not at all.
grep -q '^<!DOCTYPE html>' "$tmp/page.html" && tail -n 1 "$tmp/page.html" | grep -q '</html>$' && ! grep -qiE '<script|https?:|@import|url\(' "$tmp/page.html"
ok "a page by itself"
mkdir "$tmp/pages" && ask --profile="$tmp/pages/a&b.html" >"$tmp/out" 2>&1 && [ "$(ls "$tmp/pages")" = 'a&b.html' ]; ok "no other file beside the page"
ask --profile="$tmp/none/page.html" >"$tmp/out" 2>"$tmp/err"; [ $? = 1 ] && grep -q "$tmp/none/page.html" "$tmp/err" && [ ! -e "$tmp/none" ]; ok "a folder that is not there"
$infer -m $mamba --perplexity "$0" --profile >"$tmp/out" 2>"$tmp/err"; [ $? = 2 ] && grep -q -- '--profile goes with a prompt' "$tmp/err"; ok "--profile with --perplexity"
# Without a prompt or weights: an image, or ids.
$infer -m tests/fixtures/mamba-tiny/config.json --random-weights --bench -n 8 --json --profile >"$tmp/bench" &&
    rows "$tmp/bench" "head['prompt_tokens'] == 512 and part['sampling/argmax']['calls'] == 9 and $adds_up"; ok "--bench of ids"
$infer -m tests/fixtures/qwen2vl-tiny/config.json --random-weights --bench -n 8 --json --profile >"$tmp/bench" &&
    rows "$tmp/bench" "head['prompt_tokens'] > 1296 and head['vision_share'] > 0.2 and 'images' not in part and $adds_up"; ok "--bench of an image"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
