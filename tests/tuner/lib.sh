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

query() { sqlite3 "$1" "$2"; } # FILE SQL

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
