#!/bin/bash
# A database from text: what was tuned and exported is built again and gives the same text, and runs; what the text no
# longer fits is named and marked; hostile text makes no database.
. "$(dirname "$0")/lib.sh"
a='norm m=16 d=96 kind=rms dtype=fp32 add=0'
b='embedding t=8 v=100 d=32 dtype=fp32'
model=tests/fixtures/mamba-tiny
tuned=$scratch/tuned.db text=$scratch/text
mkdir "$text"
built() { query "$1" "SELECT text, evidence, verdict FROM winner JOIN problem ON problem.id = problem_id ORDER BY text"; }
says() { grep -qF -- "$1" "$scratch/out"; }
build() { "$tune" build --quiet "$@" >"$scratch/out" 2>&1; }
exits() { # STATUS COMMAND...
    local status=$1
    shift
    "$@"
    [ $? = "$status" ]
}
infer() { build/infer -m $model --db "$1" --device cpu --dtype fp32 --tokens 1,2,3 -n 8; }

# ---- there and back ----
check "tune" "$tune" --gpu cpu --model $model --dtype fp32 --problem "$a" --problem "$b" --db "$tuned" --budget 1s
check "export" "$tune" export --db "$tuned" --out "$text"
winners=$(query "$tuned" "SELECT count(*) FROM winner")
check "build" build --db "$scratch/built.db" "$text"
check "all as measured" says ": $winners winners as measured, 0 to be measured again, 0 predicted"
mkdir "$scratch/again"
check "export of the built one" "$tune" export --db "$scratch/built.db" --out "$scratch/again"
check "the same text" diff -r "$text" "$scratch/again"
check "the same kernels, but for what lost" test "$(query "$scratch/built.db" "SELECT hash FROM kernel ORDER BY hash")" = \
    "$(query "$tuned" "SELECT hash FROM kernel WHERE is_default OR id IN (SELECT kernel_id FROM winner) ORDER BY hash")"
check "it runs" test "$(infer "$scratch/built.db" 2>"$scratch/err")" = "$(infer "$tuned" 2>>"$scratch/err")"
check "... without a word of doubt" test ! -s "$scratch/err"
check "built twice" build --db "$scratch/twice.db" "$text"
for name in twice built; do
    check "ship $name" "$tune" export --ship --db "$scratch/$name.db" --out "$scratch/$name.ship"
done
check "the same bytes" cmp "$scratch/twice.ship" "$scratch/built.ship"
before=$(query "$scratch/built.db" "SELECT hash FROM winner ORDER BY hash")
check "tune the built one" "$tune" --gpu cpu --model $model --dtype fp32 --problem "$a" --problem "$b" --db "$scratch/built.db"
check "no winner is measured again" test "$(query "$scratch/built.db" "SELECT hash FROM winner ORDER BY hash")" = "$before"
check "never over a file" exits 2 build --db "$scratch/built.db" "$text"
check "... and it says so" says "exists"

# ---- what no longer fits ----
file=$(echo "$text"/*.json)
few=$scratch/few.json
grep -vE '^\{"problem"' "$file" | sed -n '1,5p' >"$few"
grep -E '^\{"problem": "(norm m=16 d=96|embedding t=8 v=100)' "$file" | sed 's/,*$/,/' | sed '$ s/,$//' >>"$few"
printf ']\n}\n' >>"$few"
cp -r templates "$scratch/templates"
sed -i '1i // edited' "$scratch/templates/norm/1_rows.c.in"
edited="--templates-root $scratch/templates"
check "with edited source" build $edited --db "$scratch/edited.db" "$few"
check "it is named" says "to be measured again $a: "
check "the row says what was measured" test "$(built "$scratch/edited.db")" = "$b|measured|$(built "$tuned" | sed -n "s/^$b|measured|//p")
$a|predicted|measured with other source"
"$tune" ls --db "$scratch/edited.db" >"$scratch/out"
check "ls counts it" says "1 of 2 measured, 1 to be measured again"
"$tune" explain --db "$scratch/edited.db" "$a" >"$scratch/out"
check "explain tells the old time" says "nobody has run this code; what was measured: "
again() { "$tune" --gpu cpu $edited --problem "$a" --problem "$b" --db "$scratch/edited.db" --budget 2s; }
check "tune it again" again
check "it is measured now" test "$(built "$scratch/edited.db" | grep -c '|measured|')" = 2
"$tune" ls --db "$scratch/edited.db" >"$scratch/out"
check "ls has nothing to remark" says "2 of 2 measured"

echo '/* edited */' >>"$scratch/templates/embedding/ref.c"
check "with another oracle" build $edited --db "$scratch/oracle.db" "$few"
check "both are named" test "$(built "$scratch/oracle.db" | cut -d'|' -f3 | sort | paste -sd,)" = "measured with other source,verified against another oracle"

mkdir "$scratch/bin"
printf '#!/bin/bash\n[[ " $* " == *" -E "* ]] || exec %s "$@"\nwhile [ "$1" != -o ]; do shift; done\necho "gcc 9 9 9" >"$2"\n' "$(command -v cc)" >"$scratch/bin/cc"
chmod +x "$scratch/bin/cc"
compiler=$(query "$tuned" "SELECT compiler FROM winner LIMIT 1")
check "with another compiler" env PATH="$scratch/bin:$PATH" "$tune" build --quiet --db "$scratch/compiler.db" "$few"
check "its name is kept" test "$(built "$scratch/compiler.db" | cut -d'|' -f3 | sort -u)" = "measured with code of $compiler"
check "the code's own too" test "$(query "$scratch/compiler.db" "SELECT DISTINCT compiler FROM kernel")" = "gcc 9.9.9"

changed() { # WHAT SED...: builds the few winners with a changed text
    local what=$1
    shift
    sed -E "$@" "$few" >"$scratch/changed.json"
    rm -f "$scratch/changed.db"
    build --db "$scratch/changed.db" "$scratch/changed.json"
    local status=$?
    check "$what: named" says "$wanted"
    check "$what: exit $exit_wanted" test $status = "$exit_wanted"
}
exit_wanted=0 wanted="measured with other arguments" changed "another abi" 's/"abi": "../"abi": "zz/'
exit_wanted=1
wanted="left out norm" changed "a variant of the past" 's/"variant": "norm\/[^"]*"/"variant": "norm\/gone a=1"/'
check "... the rest is there" test "$(query "$scratch/changed.db" "SELECT count(*) FROM winner")" = 1
other=$(query "$tuned" "SELECT variant FROM winner JOIN problem ON problem.id = problem_id WHERE text = '$b'")
wanted="have no such variant" changed "a variant of another family" 's|"variant": "norm/[^"]*"|"variant": "'"$other"'"|'
wanted="left out nonsense" changed "a problem of the past" 's/"problem": "norm /"problem": "nonsense /'
wanted="have no target sm_1" changed "an unknown target" 's/"target": "[^"]*"/"target": "sm_1"/'
check "... nothing is stored" test ! -e "$scratch/changed.db"
exit_wanted=1 wanted="already" changed "one twice" 's/^(\{"problem": "norm.*)$/\1,\n\1/; s/,,/,/'

# Predictions of the static model have nothing that could change.
"$tune" --gpu sm_86 --problem "$a" --db "$scratch/sm_86.db" >/dev/null 2>&1
if [ -e "$scratch/sm_86.db" ] && [ "$(query "$scratch/sm_86.db" "SELECT count(*) FROM winner WHERE evidence = 'predicted'")" = 1 ]; then
    check "export predictions" "$tune" export --db "$scratch/sm_86.db" --out "$scratch/sm_86.json"
    check "build predictions" build --db "$scratch/sm_86-built.db" "$scratch/sm_86.json"
    check "export them again" "$tune" export --db "$scratch/sm_86-built.db" --out "$scratch/sm_86-again.json"
    check "the same text of predictions" cmp "$scratch/sm_86.json" "$scratch/sm_86-again.json"
    check "ls says the driver" bash -c "'$tune' ls --db '$scratch/sm_86-built.db' | grep -qE 'code for drivers of CUDA 1[23]\.0 and newer'"
    cp "$scratch/sm_86.json" "$file" "$scratch/again/"
    check "one target of a folder" build --gpu sm_86 --db "$scratch/one.db" "$scratch/again"
    check "... alone" test "$(query "$scratch/one.db" "SELECT DISTINCT name FROM target WHERE id IN (SELECT target_id FROM kernel)")" = sm_86
    check "an older chip than the compiler knows" exits 1 build --nvrtc /nowhere --db "$scratch/no.db" "$scratch/sm_86.json"
    check "... names the library" says "/nowhere is no NVRTC library"
else skipped=$((skipped + 9)); fi

# ---- text that is none ----
hostile() { # WHAT STATUS PHRASE FILE...
    local what=$1 status=$2 wanted=$3
    shift 3
    check "$what: exit $status" exits "$status" build --db "$scratch/none.db" "$@"
    check "$what: $wanted" says "$wanted"
    check "$what: no database" test -z "$(find "$scratch" -name 'none.db*')"
}
hostile "no file" 2 "needs files"
hostile "absent" 1 "No such file" "$scratch/absent.json"
hostile "an empty folder" 1 "holds no *.json" "$scratch/bin"
hostile "another target" 1 "hold no winner for these --gpu" --gpu sm_75 "$file"
hostile "an unknown --gpu" 2 'no target "sm_1"' --gpu sm_1 "$file"
bytes=$(stat -c %s "$file")
for part in 0 1 20 $((bytes / 2)) $((bytes - 5)); do
    head -c "$part" "$file" >"$scratch/cut.json"
    hostile "cut at $part" 1 "cut.json: line" "$scratch/cut.json"
done
python3 - "$few" "$scratch" <<'EOF'
import json, sys
text, folder = open(sys.argv[1]).read(), sys.argv[2]
def write(name, value): open(f"{folder}/bad-{name}.json", "w").write(value if isinstance(value, str) else json.dumps(value))
def winner(**changes):
    d = json.loads(text)
    for key, value in changes.items():
        if value is None: del d["winners"][1][key]
        else: d["winners"][1][key] = value
    return d
write("list", [])
write("deep", "[" * 100000)
write("nul", text.replace("norm m", "norm\\u0000m"))
write("format", {**json.loads(text), "format": 2})
write("empty", {**json.loads(text), "winners": []})
write("strings", {**json.loads(text), "winners": ["x"]})
write("missing", winner(signature=None))
write("type", winner(time_us="fast"))
write("negative", winner(time_us=-1))
write("large", winner(sm_count=1 << 40))
write("evidence", winner(evidence="guessed"))
write("long", winner(race="x" * (5 << 20)))
EOF
for bad in "list|no winners" "deep|bad-deep.json: line 1" "nul|line" "format|format 2 of winners" "empty|lists no winner" "strings|winner 1: it: must be an object" \
    "missing|winner 2: signature: is missing" "type|winner 2: time_us: must be null or a number" "negative|time_us: must be" \
    "large|sm_count: must be" "evidence|evidence: must be" "long|race"; do
    hostile "${bad%%|*}" 1 "${bad#*|}" "$scratch/bad-${bad%%|*}.json"
done
{ timeout -s KILL 0.2 "$tune" build --quiet --db "$scratch/none.db" "$text"; } >/dev/null 2>&1
check "killed: no database" test ! -e "$scratch/none.db"
finish
