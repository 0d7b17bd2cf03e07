#!/bin/bash
# CONTRIBUTING's "How to add": its files, diffs and commands, in its order, on a copy of the templates. The programs are
# copied too, so that they find the copy and not the tree's own.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/build"
cp -r templates "$work/tree/"
cp build/tune build/gentool "$work/tree/build/"
tests/docs/section -v heading='## Your own kernel' -v dir="$work/readme" README.md
mv "$work/readme/my-kernels" "$work/tree/"
passed=0 skipped=0
nvrtc=$(tests/find-nvrtc) && export TUNESMITH_NVRTC=$nvrtc

step() { # HEADING
    local dir=$work/step$((passed + skipped))
    mkdir -p "$dir"
    (cd "$root" && tests/docs/section -v heading="### $1" -v dir="$dir" CONTRIBUTING.md)
    [ -s "$dir/commands.sh" ] || { echo "$1: no commands"; exit 1; }
    cd "$work/tree"
    [ ! -d "$dir/templates" ] || cp -r "$dir/templates" .
    [ ! -e "$dir/changes.diff" ] || patch --batch --fuzz=0 -p0 <"$dir/changes.diff" >"$dir/log" || { echo "$1:"; cat "$dir/log"; exit 1; }
    # Each command by itself matters, not only the last.
    bash -euo pipefail "$dir/commands.sh" >"$dir/log" 2>&1 || { echo "$1:"; cat "$dir/log"; exit 1; }
    passed=$((passed + 1))
}
says() { # TEXT: the last step's checks said so
    grep -qx "$1" "$dir/log" || { echo "expected \"$1\""; cat "$dir/log"; exit 1; }
}

step "A family" && dir=$work/step0 && says '3 passed, 0 failed, 0 skipped'
step "A tunable" && dir=$work/step1 && says '8 passed, 0 failed, 0 skipped'
step "A version" && dir=$work/step2 && says '10 passed, 0 failed, 0 skipped'
if [ -n "$nvrtc" ]; then
    step "A target" && dir=$work/step3 && says '3 passed, 0 failed, 0 skipped'
else skipped=1; fi
echo "$passed passed, 0 failed, $skipped skipped"
