# Shared by the tuner's test scripts: the program, a scratch folder that goes at the end, counting.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
tune=${TUNE:-build/tune}
here=tests/tuner
passed=0 failed=0 skipped=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

check() { # WHAT COMMAND...: the command must succeed
    local what=$1
    shift
    if "$@" >"$scratch/check.log" 2>&1; then passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $what: $*"
        tail -n 20 "$scratch/check.log" | sed 's/^/    /'
    fi
}

# FILE SQL: rows as the sqlite3 program prints them; a machine lent for its GPU may have Python's library only.
query() {
    if command -v sqlite3 >/dev/null; then sqlite3 "$1" "$2"; return; fi
    python3 - "$1" "$2" <<'EOF'
import sqlite3, sys
base = sqlite3.connect(sys.argv[1])
for statement in filter(str.strip, sys.argv[2].split(";")):
    for row in base.execute(statement):
        print("|".join("" if value is None else str(value) for value in row))
EOF
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
