#!/bin/bash
# From a tuned database to a signed file: export --ship, keygen, sign, verify --key; what infer then makes of it.
set -u
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
verdict() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; cat "$work/err"; fi; }
check() { local name=$1; shift; "$@" >"$work/out" 2>"$work/err"; verdict "$name" $?; }
refused() { # NAME STATUS PHRASE command
    local name=$1 status=$2 phrase=$3; shift 3
    "$@" >"$work/out" 2>"$work/err"
    [ $? = "$status" ] && grep -qF -- "$phrase" "$work/err"; verdict "$name" $?
}
db=${TUNESMITH_TEST_DB:-build/test.db}
tune=build/tune
text() { build/infer -m tests/fixtures/mamba-shakespeare --device cpu --dtype fp32 --db "$1" -p $'ROMEO:\n' -n 40; }

check "ship" $tune export --ship --db "$db" --out "$work/a.db"
check "ship again" $tune export --ship --db "$db" --out "$work/b.db"
check "the same bytes" cmp "$work/a.db" "$work/b.db"
refused "never over a file" 2 "exists" $tune export --ship --db "$db" --out "$work/a.db"
[ "$(stat -c %a "$work/a.db")" = 444 ]; verdict "read-only" $?
[ "$(stat -c %s "$work/a.db")" -lt 5000000 ]; verdict "under 5 MB" $?
[ "$(ls "$work" | grep -c '^a\.db')" = 1 ]; verdict "one file, nothing beside it" $?
[ "$(text "$work/a.db" 2>"$work/err")" = "$(text "$db" 2>>"$work/err")" ]; verdict "the same text from the shipped file" $?

check "keygen" $tune keygen --key "$work/key"
[ "$(stat -c %a "$work/key")" = 600 ]; verdict "the secret is the user's alone" $?
before=$(cat "$work/key" "$work/key.pub")
refused "a key is never overwritten" 2 "never overwritten" $tune keygen --key "$work/key"
rm "$work/key"; refused "... nor the public one" 2 "never overwritten" $tune keygen --key "$work/key"
[ ! -e "$work/key" ]; verdict "... and no half of a pair stays" $?
head -n 1 <<<"$before" >"$work/key"
$tune keygen --key "$work/other" >"$work/out"

refused "not signed yet" 1 "is not signed" $tune verify --key "$work/key.pub" --db "$work/a.db"
refused "the public key does not sign" 2 "tunesmith-secret-key" $tune sign --key "$work/key.pub" --db "$work/a.db"
check "sign" $tune sign --key "$work/key" --db "$work/a.db"
check "verify" $tune verify --key "$work/key.pub" --db "$work/a.db"
refused "another key" 1 "another key" $tune verify --key "$work/other.pub" --db "$work/a.db"
refused "signed once" 2 "signed already" $tune sign --key "$work/other" --db "$work/a.db"
refused "tune into it" 1 "is signed" $tune --gpu cpu --family norm --budget 1s --db "$work/a.db"
check "SQLite still reads it" sqlite3 "file:$work/a.db?mode=ro" "SELECT count(*) FROM winner"
[ "$(text "$work/a.db" 2>"$work/err")" = "$(text "$db" 2>>"$work/err")" ]; verdict "the same text from the signed file" $?

# One bit anywhere: the header, the pages, the trailer.
python3 - "$work/a.db" "$work" <<'EOF'
import sys
data = open(sys.argv[1], "rb").read()
for name, at in {"first": 0, "id": 70, "middle": len(data) // 2, "magic": len(data) - 104, "key": len(data) - 90, "last": len(data) - 1}.items():
    changed = bytearray(data)
    changed[at] ^= 1
    open(f"{sys.argv[2]}/flip-{name}.db", "wb").write(changed)
EOF
for file in "$work"/flip-*.db; do
    refused "$(basename "$file")" 1 "changed after signing" $tune verify --key "$work/key.pub" --db "$file"
    refused "... by infer" 1 "changed after signing" text "$file"
done

# The system's folder: only with a key that this user or the machine trusts.
mkdir -p "$work/share/tunesmith" "$work/config/tunesmith/keys" "$work/home"
cp "$work/a.db" "$work/share/tunesmith/tunesmith.db"
elsewhere() { env -u TUNESMITH_DB -u TUNESMITH_KEYS -u XDG_DATA_HOME HOME="$work/home" XDG_DATA_DIRS="$work/share" \
    XDG_CONFIG_HOME="$work/config" build/infer -m tests/fixtures/mamba-shakespeare --device cpu --dtype fp32 --tokens 1,2 -n 2; }
refused "the system's file by an unknown signer" 1 "not signed by a trusted key" elsewhere
cp "$work/key.pub" "$work/config/tunesmith/keys/"
check "... and by a known one" elsewhere

# What a start costs. Allocations and locks are counted exactly; times are printed, a machine at work proves nothing by them.
check "finding allocates and locks nothing" build/tests/bench/lookup "$work/a.db"; cat "$work/out"
check "a start is measured" build/tests/bench/start --device cpu --runs 5 "$work/a.db"; cat "$work/out"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
