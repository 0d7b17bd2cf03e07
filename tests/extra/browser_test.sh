#!/bin/bash
# The pages as a browser draws them: a tune's report has its numbers and charts, a hostile text in it does nothing, and a
# profile's bars are as long as its shares say.
. "$(dirname "$0")/../tuner/lib.sh"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
chrome() { # ARGUMENT...: headless, a fresh profile
    HOME="$scratch" timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
        --window-size=1000,3000 "--user-data-dir=$scratch/browser" "$@" 2>/dev/null
}
dom() { chrome --virtual-time-budget=5000 --dump-dom "file://$1"; }
check "a browser (make test-extra installs Chromium)" test -n "$browser"

# A tune's report: the counts that its last event said, and its charts.
"$tune" --gpu cpu --problem 'norm m=16 d=96 kind=rms dtype=fp32 add=0' --problem 'gemm m=24 n=40 k=48 dtype=fp32 out=fp32' \
    --budget 3s --db "$scratch/t.db" --json --report "$scratch/t.html" >"$scratch/out" 2>/dev/null
check "a tune with a report" test $? = 0
cat >"$scratch/counts.py" <<'P'
import json, sys
end = json.loads(open(sys.argv[1]).read().splitlines()[-1])
shown = ", ".join(f"{n} {why}" for why, n in end["rejected"].items() if n)
print(f'{end["evaluated"]} evaluated: {end["right"]} right, {end["evaluated"] - end["right"]} rejected' + (f" ({shown})" if shown else ""))
P
counts=$(python3 "$scratch/counts.py" "$scratch/out")
dom "$scratch/t.html" >"$scratch/dom"
check "the drawn page says the counts" grep -qF "<p id=\"counts\">$counts</p>" "$scratch/dom"
check "charts are drawn" test "$(grep -o 'data-drawn="[0-9]*"' "$scratch/dom" | tr -dc 0-9)" -ge 6

# A compiler's message that would be markup.
cp -r tests/fixtures/toy_templates "$scratch/toys"
for f in "$scratch"/toys/axpy/*.c.in; do sed -i '1i #error </script><img src=x onerror=document.title=1>' "$f"; done
"$tune" --gpu cpu --templates "$scratch/toys" --family axpy --db "$scratch/h.db" --budget 1s --report "$scratch/hostile.html" >/dev/null 2>&1
dom "$scratch/hostile.html" >"$scratch/dom"
sed -i 's/.*<main id="page">//' "$scratch/dom"
check "a hostile text does nothing" bash -c "! grep -q '<img' '$scratch/dom' && grep -q '1 rejected (1 compile)' '$scratch/dom'"

# infer --profile: the report's bar, below it this run's, their lengths as the shares say; dark parts within bars.
digits=tests/fixtures/qwen2vl-mnist
check "a database for the digits" "$tune" --gpu cpu --model $digits --dtype fp32 --db "$scratch/digits.db" --budget 1s --quiet
build/infer --device cpu --dtype fp32 -m $digits --db "$scratch/digits.db" -p 'What digit is this?' --image $digits/cases/case0_0.png \
    --json --profile="$scratch/page.html" >"$scratch/profile"
check "a profile" test $? = 0
chrome "--screenshot=$scratch/page.png" "file://$scratch/page.html" >/dev/null
cat >"$scratch/bars.py" <<'P'
import json, sys
from PIL import Image
picture = Image.open(sys.argv[1]).convert("RGB")
width, height = picture.size
pixels = picture.load()
THEIRS, BAR, LIMIT = (0xD9, 0xA2, 0x5F), (0x8A, 0xB4, 0xE8), (0x1D, 0x5F, 0xA8)
def run(y, colours): return sum(pixels[x, y] in colours for x in range(width))
share = next(o["vision_share"] for o in map(json.loads, open(sys.argv[2])) if o.get("figure") == "profile")
lines = [y for y in range(height) if run(y, (THEIRS,)) > 100]
assert lines, "the report's bar is not there"
middle = (lines[0] + lines[-1]) // 2
theirs = run(middle, (THEIRS,))
step = round(len(lines) * 30 / 22)  # profile_page.c's STEP and BAR_HEIGHT
ours = run(middle + step, (BAR,))
assert abs(ours / theirs - share / 0.979) < 0.02, (ours, theirs, share)
bars = sum(run(y, (BAR, LIMIT)) > 20 and run(y - 1, (BAR, LIMIT)) <= 20 for y in range(1, lines[0]))
assert bars >= 10, f"{bars} bars above the report's"
assert any(run(y, (LIMIT,)) > 20 for y in range(lines[0])), "no limit is drawn"
P
# Debian's package of PIL is for its own interpreter.
check "the bars of a profile" /usr/bin/python3 "$scratch/bars.py" "$scratch/page.png" "$scratch/profile"
finish
