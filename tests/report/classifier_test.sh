#!/bin/bash
# The report's classifier: both forms right on all digits (the program itself checks logits), and the page builder refuses
# figures with holes.
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0
ok() { # NAME: the status of the command before
    if [ $? = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
classifier=build/report/classifier digits=tests/fixtures/mnist-attention
problems=()
while read -r problem; do problems+=(--problem "$problem"); done < <($classifier --problems | sort -u)
[ ${#problems[@]} -ge 16 ]; ok "problems for the tuner"
build/tune --gpu cpu --db "$tmp/report.db" --budget 1s --quiet "${problems[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; false; }; ok "tuning them"
$classifier --db "$tmp/report.db" --device cpu --runs 3 $digits >"$tmp/out" &&
    python3 -c "
import json
row = json.load(open('$tmp/out'))
for form in ('unfused', 'fused'):
    assert row[form]['accuracy'] == 0.886, row
    assert 0 <= row[form]['logits_off_by'] <= 1e-4 and row[form]['ms'] > 0, row
assert row['forms_differ_by'] <= 1e-5 and row['unfused']['launches'] > row['fused']['launches'], row"
ok "accuracy and logits of both forms"
# Wrong weights must be noticed: one value of the file is changed.
cp -r $digits "$tmp/wrong" && chmod -R u+w "$tmp/wrong" && printf '\x00\x00\x00\x41' |
    dd of="$tmp/wrong/model.safetensors" bs=1 seek=$(($(stat -c %s $digits/model.safetensors) - 4)) conv=notrunc status=none
! $classifier --db "$tmp/report.db" --device cpu --runs 1 "$tmp/wrong" 2>"$tmp/err" && grep -q 'logits are off by' "$tmp/err"
ok "wrong weights are noticed"

# The page: figures made up by this test, whole and with each part left out.
python3 - "$tmp" <<'P'
import copy, json, sys
def form(): return dict(ms=2.0, least_ms=1.0, most_ms=3.0, launches=6, accuracy=0.5, logits_off_by=1e-6)
device = {"device": "cpu",
  "memory": [dict(device="A", dtype=t, weight_bytes=9, state_bytes=2, work_bytes=1, held_bytes=12, ms=1.0) for t in ("fp32", "bf16")],
  "classifier": [dict(device="A", batch=100, ratio=1.0, unfused=form(), fused=form())],
  "embeddings": [dict(table="own", width=None, perplexity=40.0, tokens=9), dict(table="width-32", width=32, perplexity=80.0, tokens=9)],
  "profile": {"model": "m", "dtype": "fp32", "made_up_weights": False, "rows": [
    dict(figure="profile", device="A", prompt_tokens=1, new_tokens=1, elapsed_us=9.0, vision_share=0.5, reported_vision_share=0.979, reason="so"),
    dict(part="vision/qkv", calls=1, time_us=5.0, share=0.5, flops=None, bytes=None, limit_share=None)]}}
whole = {"date": "2000-01-01", "budget_s": 1, "seeds": {"separate": [0.5, 0.6], "fused": [0.5, 0.7]}, "devices": [device]}
json.dump(whole, open(sys.argv[1] + "/whole.json", "w"))
for part in ("memory", "classifier", "embeddings", "profile"):
    hole = copy.deepcopy(whole); del hole["devices"][0][part]
    json.dump(hole, open(f"{sys.argv[1]}/no-{part}.json", "w"))
hole = copy.deepcopy(whole); del hole["devices"][0]["profile"]["rows"][1:]
json.dump(hole, open(sys.argv[1] + "/no-rows.json", "w"))
hole = copy.deepcopy(whole); hole["devices"] = []
json.dump(hole, open(sys.argv[1] + "/no-devices.json", "w"))
P
if /usr/bin/python3 -c 'import matplotlib' 2>/dev/null; then
    tests/bench/report/page.py "$tmp/whole.json" "$tmp/page.html" >"$tmp/log" && [ "$(grep -c '<svg' "$tmp/page.html")" -ge 3 ] &&
        [ "$(grep -o '<h2>' "$tmp/page.html" | wc -l)" = 5 ] && ! grep -qE '(src|href)="https?:' "$tmp/page.html"; ok "a whole page"
    for hole in memory classifier embeddings profile rows devices; do
        rm -f "$tmp/page.html"
        ! tests/bench/report/page.py "$tmp/no-$hole.json" "$tmp/page.html" 2>"$tmp/err" && grep -q 'lacks' "$tmp/err" && [ ! -e "$tmp/page.html" ]
        ok "no page without $hole"
    done
else
    echo "python3-matplotlib is missing (make report installs it)"
    skipped=7
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
