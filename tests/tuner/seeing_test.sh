#!/bin/bash
# One account: the live view, the JSON events, the log and the page of a real tune show the same numbers. What a browser makes
# of the page: tests/extra/browser_test.sh.
. "$(dirname "$0")/lib.sh"
a='norm m=16 d=96 kind=rms dtype=fp32 add=0'
b='gemm m=24 n=40 k=48 dtype=fp32 out=fp32'
work() { "$tune" --gpu cpu --problem "$a" --problem "$b" --budget 4s "$@"; }
work --db "$scratch/t.db" --json --report "$scratch/t.html" >"$scratch/out" 2>"$scratch/err"
check "a tune with --json and --report" test $? = 0
cat >"$scratch/same.py" <<'P'
import json, re, sqlite3, sys
folder = sys.argv[1]
lines = [json.loads(line) for line in open(f"{folder}/out")]
page = json.loads(re.search(r'id="data">(.*?)</script>', open(f"{folder}/t.html").read(), re.S)[1])
def events(kind): return [o for o in lines if o.get("event") == kind]
start, progress, end = events("start"), events("progress"), events("end")
plain = [o for o in lines if "event" not in o]
results, winners = [o for o in plain if "status" in o], [o for o in plain if "speedup" in o]
assert len(start) == len(end) == 1 and lines[0] is start[0] and lines[-1] is end[0] and len(progress) >= 3
assert all(set(o) == {"problem", "variant", "status", "reason", "time_us"} for o in results)
assert all(set(o) == {"problem", "variant", "time_us", "default_us", "speedup", "ci_low_us", "ci_high_us"} for o in winners)
assert len(results) + len(winners) == len(plain) and len(winners) == 2
end, tally = end[0], page["tally"]
assert {k: end[k] for k in tally} == tally, (end, tally)
assert end["evaluated"] == len({(o["problem"], o["variant"]) for o in results}) > 2
assert end["evaluated"] == sum(p["evaluated"] for p in page["problems"]) == sum(len(p["results"]) for p in page["problems"])
assert sum(end["rejected"].values()) == end["evaluated"] - end["right"] and end["winners"] == 2
for reason, count in end["rejected"].items():
    assert count == sum(r["status"] == reason for p in page["problems"] for r in p["results"]), reason
for w in winners:
    best = next(p["best"] for p in page["problems"] if p["problem"] == w["problem"])
    assert (best["variant"], best["time_us"], best["speedup"]) == (w["variant"], w["time_us"], w["speedup"]), (best, w)
rows = sqlite3.connect(f"{folder}/t.db").execute("SELECT count(*) FROM result r JOIN target t ON t.id = r.target_id WHERE t.name = ?", (page["target"],)).fetchone()[0]
assert rows == end["evaluated"], rows
shown = ", ".join(f"{n} {why}" for why, n in end["rejected"].items() if n)
text = f'{end["evaluated"]} evaluated: {end["right"]} right, {end["evaluated"] - end["right"]} rejected' + (f" ({shown})" if shown else "")
assert open(f"{folder}/err").read().splitlines()[-1].startswith(f'{text}; 2 winners of 2 problems, {end["speedup"]:.2f}x'), text
P
check "the same numbers in events, log, page and database" python3 "$scratch/same.py" "$scratch"
check "tune report on the database" "$tune" report --db "$scratch/t.db" --out "$scratch/again.html"
tally() { grep -o '"tally":{.*},"problems":\[' "$1" | sed 's/"problems":\[.*//'; }
check "its page says the same" test "$(tally "$scratch/again.html")" = "$(tally "$scratch/t.html")"
check "a problem that is not there" bash -c "! '$tune' report --db '$scratch/t.db' --out '$scratch/no.html' nothing && [ ! -e '$scratch/no.html' ]"
check "a page by itself" bash -c "! grep -qE '(src|href)=.?.?https?:|@import|url\(' '$scratch/t.html'"
work --db "$scratch/q.db" --quiet >/dev/null 2>"$scratch/quiet"
check "--quiet says nothing" test ! -s "$scratch/quiet"

# The live view in a terminal of each kind: its last block, what ^C leaves.
cat >"$scratch/view.py" <<'P'
import fcntl, os, pty, re, signal, struct, sys, termios, time
tune, db, kind, problem = sys.argv[1:5]
columns = {"narrow": 40}.get(kind, 100)
pid, master = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb" if kind == "dumb" else "xterm"
    os.mkdir(db + ".cache", 0o700)  # of its own: where all is compiled, a search ends before its view is drawn twice
    os.environ["TUNESMITH_CACHE"] = db + ".cache"
    os.execv(tune, [tune, "--gpu", "cpu", "--problem", problem, "--db", db, "--budget", "4s"])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
seen, begin, done = b"", time.time(), False
while True:
    try: part = os.read(master, 65536)
    except OSError: break
    if not part: break
    seen += part
    if not done and kind == "resize" and b"tried" in seen: fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 70, 0, 0)); done = True
    if not done and kind == "stop" and b"search" in seen: os.write(master, b"\x03"); done = True
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
text = seen.decode()
assert "\033[?25l" not in text, "the cursor is hidden"
assert re.search(r"\d+ evaluated: \d+ right, \d+ rejected.*; \d winners? of 1 problems|\d+ evaluated: \d+ right.*; 1 winners of 1", text), text[-600:]
blocks = [b for b in re.split(r"\033\[J", text) if "ETA" in b]
if kind == "dumb": assert "\033" not in text and "ETA" in text, "escapes on a dumb terminal"
elif kind == "narrow": assert blocks and all("tried" not in b.split("\r")[0] for b in blocks), "a block on a narrow terminal"
else: assert any("\033[3A" in text for _ in [0]) and any("tried" in b and "best" in b and "now" in b for b in blocks), text[-900:]
if kind == "stop": assert status == 1 and "interrupted" in text
else: assert status == 0, status
P
# One tune seen three ways at once: its last line in the terminal, its last event and its page; and every block beside the events.
cat >"$scratch/at_once.py" <<'P'
import fcntl, json, os, pty, re, struct, sys, termios
tune, folder, problem = sys.argv[1:4]
pid, master = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.dup2(os.open(f"{folder}/live.json", os.O_WRONLY | os.O_CREAT, 0o644), 1)
    os.execv(tune, [tune, "--gpu", "cpu", "--problem", problem, "--db", f"{folder}/live.db", "--budget", "4s", "--json", "--report", f"{folder}/live.html"])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
seen = b""
while True:
    try: part = os.read(master, 65536)
    except OSError: break
    if not part: break
    seen += part
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
events = [o for o in map(json.loads, open(f"{folder}/live.json")) if o.get("event") in ("progress", "end")]
tally = json.loads(re.search(r'id="data">(.*?)</script>', open(f"{folder}/live.html").read(), re.S)[1])["tally"]
blocks = [(float(best), int(evaluated), int(right), int(rejected)) for best, evaluated, right, rejected in
          re.findall(r"best +([\d.]+)x over[^\n]*\n(?:\x1b\[K)?tried +(\d+) evaluated: (\d+) right, (\d+) rejected", seen.decode())]
assert blocks, seen[-900:]
for best, evaluated, right, rejected in blocks:
    assert evaluated == right + rejected
    for o in events:
        if o["evaluated"] == evaluated: assert o["right"] == right and (o["event"] == "end" or o["stage"] != "search" or abs(o["speedup"] - best) < 0.006), (o, best)
end = events[-1]
shown = ", ".join(f"{n} {why}" for why, n in end["rejected"].items() if n)
last = f'{end["evaluated"]} evaluated: {end["right"]} right, {sum(end["rejected"].values())} rejected' + (f" ({shown})" if shown else "")
assert seen.decode().splitlines()[-1].split("\033[J")[-1].startswith(f'{last}; 1 winners of 1 problems, {end["speedup"]:.2f}x'), seen[-300:]
assert {k: end[k] for k in tally} == tally
P
check "live view, events and page of one tune" python3 "$scratch/at_once.py" "$tune" "$scratch" "$b"
for kind in wide narrow dumb resize stop; do check "live view: $kind" python3 "$scratch/view.py" "$tune" "$scratch/$kind.db" $kind "$b"; done

# Texts are text wherever they land: a compiler's message that would be markup.
cp -r tests/fixtures/toy_templates "$scratch/toys"
for f in "$scratch"/toys/axpy/*.c.in; do sed -i '1i #error </script><img src=x onerror=document.title=1>' "$f"; done
"$tune" --gpu cpu --templates "$scratch/toys" --family axpy --db "$scratch/h.db" --budget 1s --report "$scratch/hostile.html" >/dev/null 2>&1
check "a hostile text stays within its quotes" bash -c "! grep -q '<img' '$scratch/hostile.html' && grep -q 'u003c/script.u003e.u003cimg' '$scratch/hostile.html'"
finish
