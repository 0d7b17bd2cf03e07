#!/bin/bash
# kill -9 at random instants and at the moment of a result, again and again on one file: no committed result is lost, the file stays sound,
# and a last undisturbed run ends with the winner.
. "$(dirname "$0")/lib.sh"
db=$scratch/killed.db
kills=${TUNESMITH_TEST_KILLS:-20}
problem='norm m=16 d=96 kind=rms dtype=fp32 add=0'
RANDOM=7
problems=(--problem "$problem" --problem 'argmax m=3 v=2000')
results() { [ -s "$1" ] && query "$1" "SELECT count(*) FROM result" 2>/dev/null || echo 0; }

# How long a run takes here decides when it is killed.
start=$(date +%s%N)
check "an undisturbed run" "$tune" --gpu cpu "${problems[@]}" --db "$scratch/whole.db" --budget 1m --quiet
whole_ms=$((($(date +%s%N) - start) / 1000000))
[ $whole_ms -le 8000 ] || whole_ms=8000

# A result line is printed once its row is committed: whatever was printed must be in the file after the kill. A new file now and
# then, so that creating it and the first results are killed too.
stored() { query "$1" "SELECT problem.text || ' | ' || variant || ' | ' || status FROM result JOIN problem ON problem.id = problem_id"; }
printed() { sed -n 's/^{"problem":"\([^"]*\)","variant":"\([^"]*\)","status":"\([^"]*\)".*}$/\1 | \2 | \3/p' "$1"; }
lose() { # HOW MANY, WHAT HAPPENED
    [ "$1" = 0 ] || echo "lost in run $i: $2"
    lost=$((lost + $1))
}
kill_at_random() {
    local delay_ms=$((RANDOM % whole_ms))
    "$tune" --gpu cpu "${problems[@]}" --db "$db" --budget 1m --json --quiet >"$scratch/lines" 2>/dev/null &
    pid=$!
    sleep "$((delay_ms / 1000)).$(printf '%03d' $((delay_ms % 1000)))"
    kill -9 $pid 2>/dev/null
}
# At the very moment that a result is printed: what is printed first and stored then is caught here.
mkfifo "$scratch/pipe"
kill_at_line() {
    local line nth=$((1 + RANDOM % 3))
    "$tune" --gpu cpu "${problems[@]}" --db "$db" --budget 1m --json --quiet >"$scratch/pipe" 2>/dev/null &
    pid=$!
    while read -r line; do
        echo "$line" >>"$scratch/lines"
        [[ $line != '{"problem"'* ]] || [ $((--nth)) != 0 ] || { kill -9 $pid; break; }
    done <"$scratch/pipe"
}
lost=0 unsound=0 last=0 lines=0 resumed=0
for ((i = 0; i < kills; i++)); do
    [ $((i % 10)) != 0 ] || { rm -f "$db"*; last=0; : >"$scratch/all"; }
    : >"$scratch/lines"
    if [ $((i % 2)) = 0 ]; then kill_at_random; else kill_at_line; fi
    wait $pid 2>/dev/null
    printed "$scratch/lines" >>"$scratch/all"
    lines=$((lines + $(printed "$scratch/lines" | wc -l)))
    now=$(results "$db")
    [ "$now" -ge "$last" ] || lose 1 "$now results where $last were"
    [ "$last" = 0 ] || [ "$now" -le "$last" ] || resumed=$((resumed + 1))
    last=$now
    [ -s "$db" ] || { [ ! -s "$scratch/all" ] || lose 1 "the file"; continue; }
    stored "$db" 2>/dev/null | sort -u >"$scratch/stored"
    missing=$(sort -u "$scratch/all" | comm -23 - "$scratch/stored")
    lose "$(grep -c . <<<"$missing")" "$missing; the file has: $(grep -F "${missing% | *}" "$scratch/stored")"
    [ "$(query "$db" "PRAGMA integrity_check")" = ok ] || unsound=$((unsound + 1))
done
echo "$kills kills, $lines results printed, $resumed runs went on from an earlier one's, $lost lost, $unsound unsound"
check "no committed result is lost" test $lost = 0
check "the file stays sound" test $unsound = 0
check "the killed runs made progress" test "$lines" -gt 0
check "the last run ends well" "$tune" --gpu cpu "${problems[@]}" --db "$db" --budget 1m
check "its results come on top" test "$(results "$db")" -ge "$last"
check "the winner is final" test "$(query "$db" "SELECT count(*) FROM winner WHERE ci_low_us > 0")" = 2
check "its kernel is there" test "$(query "$db" "SELECT count(*) FROM winner JOIN kernel ON kernel.id = kernel_id JOIN blob ON blob.id = blob_id")" = 2

# Ctrl-C in the search: an orderly end, exit 1, and the way to go on.
"$tune" --gpu cpu --problem 'gemm m=24 n=40 k=48 dtype=fp32 out=fp32' --db "$scratch/stopped.db" --budget 1m >/dev/null 2>"$scratch/stopped.err" &
pid=$!
for ((i = 0; i < 600; i++)); do
    [ "$(results "$scratch/stopped.db")" -ge 3 ] && break
    sleep 0.1
done
kill -INT $pid
wait $pid
check "Ctrl-C exits 1" test $? = 1
check "Ctrl-C says how to go on" grep -q "run the same command to go on" "$scratch/stopped.err"
check "what was measured is stored" test "$(results "$scratch/stopped.db")" -ge 3
check "every default has its winner" test "$(query "$scratch/stopped.db" "SELECT count(*) FROM winner")" = 1
finish
