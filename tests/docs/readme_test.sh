#!/bin/bash
# README's C example is taken out of README, compiled against the two public headers and the static library alone, and run.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ { on = 1; next } on && /^```$/ { exit } on' README.md >"$work/example.c" # the first C block
lines=$(wc -l <"$work/example.c")
[ "$lines" -ge 15 ] && [ "$lines" -le 36 ] || { echo "the example has $lines lines; about 30 are promised"; exit 1; }
${CC:-cc} -std=c17 -Wall -Wextra -Werror -Ibuild/include "$work/example.c" -o "$work/example" build/libtunesmith.a \
    -l:libsqlite3.a -l:libjansson.a -l:libpcre2-8.a -l:libutf8proc.a -l:libsodium.a -l:libzstd.a -l:libpng16.a -l:libz.a \
    -l:libjpeg.a -l:libwebpdemux.a -l:libwebp.a -l:libexif.a -lm -ldl -lpthread
"$work/example" tests/fixtures/mamba-shakespeare "$TUNESMITH_TEST_DB" >"$work/text"
grep -q 'I am a king' "$work/text" || { echo "unexpected text:"; cat "$work/text"; exit 1; }
# C++ programs may include the headers too.
printf '#include "tunesmith.h"\nint main() { return ts_version() == nullptr; }\n' >"$work/cxx.cc"
${CXX:-c++} -std=c++17 -Wall -Werror -Ibuild/include -fsyntax-only "$work/cxx.cc"
# Every command of README's shell blocks exists.
for program in $(grep -oE 'build/(tune|infer)\b' README.md | sort -u); do [ -x "$program" ] || { echo "README names $program"; exit 1; }; done
echo "1 passed, 0 failed, 0 skipped"
