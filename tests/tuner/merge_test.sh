#!/bin/bash
# Many machines: shards of one tune, merged, hold what a whole run holds; what merging says, refuses and leaves alone.
. "$(dirname "$0")/lib.sh"
problems=('norm m=16 d=96 kind=rms dtype=fp32 add=0' 'norm m=8 d=96 kind=rms dtype=fp32 add=0' 'argmax m=3 v=2000'
          'embedding t=5 v=50 d=64 dtype=bf16' 'gemv n=70 k=50 dtype=fp32 out=fp32' 'gemv n=50 k=70 dtype=fp32 out=fp32')
picks=() turned=()
for p in "${problems[@]}"; do picks+=(--problem "$p"); turned=(--problem "$p" "${turned[@]}"); done
export TUNESMITH_CACHE=$scratch/cache # the shards' kernels are the whole run's
fast=(--gpu cpu --budget 1s --quiet)
refused() { # NAME STATUS PHRASE COMMAND...
    local name=$1 status=$2 phrase=$3
    shift 3
    "$@" >"$scratch/out" 2>"$scratch/err"
    check "$name" test $? = "$status"
    check "... and says so" grep -qF -- "$phrase" "$scratch/err"
}
places() { query "$1" "SELECT p.text, t.name, d.name, w.evidence FROM winner w JOIN problem p ON p.id = problem_id
    JOIN target t ON t.id = w.target_id JOIN device d ON d.id = device_id ORDER BY 1, 2, 3"; }
winners() { query "$1" "SELECT p.text, w.hash FROM winner w JOIN problem p ON p.id = problem_id ORDER BY 1, 2"; }
defaults() { query "$1" "SELECT DISTINCT k.family, k.spec, t.name FROM kernel k JOIN target t ON t.id = target_id WHERE is_default ORDER BY 1, 2, 3"; }

check "a whole run" "$tune" "${fast[@]}" "${picks[@]}" --db "$scratch/whole.db"
for i in 1 2 3; do check "shard $i/3" "$tune" "${fast[@]}" "${turned[@]}" --shard $i/3 --db "$scratch/part$i.db"; done
parts=("$scratch"/part?.db)
for i in 1 2 3; do
    check "shard $i has two problems" test "$(query "$scratch/part$i.db" "SELECT count(*) FROM winner")" = 2
    check "... and the defaults of their specializations" test "$(query "$scratch/part$i.db" "SELECT count(*) FROM winner w JOIN kernel x
        ON x.id = kernel_id WHERE NOT EXISTS (SELECT 1 FROM kernel k WHERE k.is_default AND k.family = x.family AND k.spec = x.spec
        AND k.target_id = x.target_id)")" = 0
done
all=$scratch/new/all.db
"$tune" merge --db "$all" "${parts[@]}" >"$scratch/lines"
check "merge" test $? = 0
check "... adds all six winners" grep -qx "winners: 6 added, 0 replaced, 0 kept, 0 same, 0 skipped" "$scratch/lines"
check "the shards together are the whole run" test "$(places "$all")" = "$(places "$scratch/whole.db")"
check "... with its defaults" test "$(defaults "$all")" = "$(defaults "$scratch/whole.db")"
check "... and results" test "$(query "$all" "SELECT count(*) FROM result")" -ge 6
check "no scratch file stays" test "$(ls "$scratch/new")" = all.db
check "tune finds nothing new there" bash -c "$(printf '%q ' "$tune" --gpu cpu --budget 1s "${picks[@]}" --db "$all") 2>&1 | grep 'nothing new to measure'"
check "an empty shard" "$tune" "${fast[@]}" "${picks[@]}" --shard 7/9 --db "$scratch/empty.db"
check "... is an empty database" test "$(query "$scratch/empty.db" "SELECT count(*) FROM winner")" = 0
check "the same shard is listed" test "$("$tune" --gpu cpu "${picks[@]}" --shard 1/6 --dry-run --json 2>/dev/null | grep -o '"family":"[a-z]*"' | sort -u | wc -l)" = 1
for bad in 0/2 3/2 2 1/2x '' 1/0 -1/2; do refused "--shard '$bad'" 2 "not I/N" "$tune" "${fast[@]}" "${picks[@]}" --shard "$bad" --db "$scratch/none.db"; done
refused "--shard is of tune alone" 2 "not an option" "$tune" check --gpu cpu --shard 1/2

# Again, and in other orders: nothing more.
before=$(winners "$all")
"$tune" merge --db "$all" "${parts[@]}" "$all" >"$scratch/lines"
check "again" test $? = 0
check "... says so" grep -qx "winners: 0 added, 0 replaced, 0 kept, 6 same, 0 skipped" "$scratch/lines"
check "... and changes nothing" test "$(winners "$all")" = "$before"

# A conflict: the whole run was raced at another time. One line each, and the same winners whatever the order.
"$tune" merge --db "$scratch/ab.db" "${parts[@]}" "$scratch/whole.db" >"$scratch/lines"
check "conflicts are no failure" test $? = 0
check "a line for each conflict" test "$(grep -c ': kept .* of .*, not .* of .*: the newer race$' "$scratch/lines")" = 6
check "... naming both files" grep -qE "^norm .*: kept norm/rows .* of $scratch/(part.|whole).db, not norm/rows .* of $scratch/(part.|whole).db:" "$scratch/lines"
check "the other way round" "$tune" merge --db "$scratch/ba.db" "$scratch/whole.db" "${parts[2]}" "${parts[0]}" "${parts[1]}"
check "the same winners" test "$(winners "$scratch/ab.db")" = "$(winners "$scratch/ba.db")"
"$tune" merge --json --db "$scratch/json.db" "${parts[@]}" "$scratch/whole.db" >"$scratch/json"
check "--json" python3 - "$scratch/json" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
decisions, end = lines[:-1], lines[-1]
assert end["event"] == "end" and sum(end["winners"].values()) == len(decisions) == 12, end
for d in decisions:
    assert set(d) == {"action", "problem", "target", "device", "variant", "file", "other_variant", "other_file", "reason"}, d
    assert (d["other_file"] is None) == (d["action"] == "added"), d
PY

# Sources of all kinds; targets that are refused.
check "ship" "$tune" export --ship --db "$scratch/whole.db" --out "$scratch/shipped.db"
check "keygen" "$tune" keygen --key "$scratch/key"
cp "${parts[0]}" "$scratch/signed.db"
check "sign" "$tune" sign --key "$scratch/key" --db "$scratch/signed.db"
check "signed and shipped files are sources" "$tune" merge --db "$scratch/kinds.db" "$scratch/signed.db" "$scratch/shipped.db"
check "... with all winners" test "$(query "$scratch/kinds.db" "SELECT count(*) FROM winner")" = 6
sums=$(sha256sum "$scratch"/{signed,shipped}.db)
refused "a signed target" 1 "is signed" "$tune" merge --db "$scratch/signed.db" "${parts[1]}"
refused "a shipped target" 1 "is read-only" "$tune" merge --db "$scratch/shipped.db" "${parts[1]}"
check "neither was touched" test "$(sha256sum "$scratch"/{signed,shipped}.db)" = "$sums"
refused "no files" 2 "needs the databases" "$tune" merge --db "$scratch/none.db"
refused "a missing file" 1 "no database at" "$tune" merge --db "$scratch/none.db" "${parts[0]}" "$scratch/missing.db"
printf 'not a database at all, but longer than a page\n%.0s' {1..20} >"$scratch/foreign.db"
refused "a foreign file" 1 "not an SQLite database" "$tune" merge --db "$scratch/none.db" "${parts[0]}" "$scratch/foreign.db"
head -c 30000 "${parts[0]}" >"$scratch/cut.db"
refused "a truncated file" 1 "cut.db" "$tune" merge --db "$all" "${parts[1]}" "$scratch/cut.db"
check "... leaves the target as it was" test "$(winners "$all")" = "$before"
check "no file was made" test ! -e "$scratch/none.db"
cp "${parts[0]}" "$scratch/damaged.db"
query "$scratch/damaged.db" "UPDATE winner SET time_us = time_us / 2 WHERE id = (SELECT min(id) FROM winner)" >/dev/null
refused "a damaged row is skipped, said, and exit 1" 1 "does not match its hash; skipped" "$tune" merge --db "$scratch/rest.db" "$scratch/damaged.db"
check "... the rest is merged" test "$(query "$scratch/rest.db" "SELECT count(*) FROM winner")" = 1

# Another target's entries stand beside.
check "a prediction" "$tune" --gpu sm_86 --problem "${problems[0]}" --db "$scratch/guess.db" --quiet
check "... is merged" "$tune" merge --db "$all" "$scratch/guess.db"
check "... beside the measured ones" test "$(query "$all" "SELECT group_concat(DISTINCT evidence) FROM (SELECT evidence FROM winner ORDER BY 1)")" = "measured,predicted"
finish
