#!/bin/bash
# runtime/tunesmith.map is the binary interface: it, the public headers and the library name the same functions.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's/^ *\(ts_[a-z0-9_]*\);$/\1/p' runtime/tunesmith.map | sort >"$work/map"
# Preprocessed, so that a declaration may run over lines and comments cannot name functions.
printf '#include "tunesmith.h"\n#include "tunesmith_kernels.h"\n' >"$work/all.c"
${CC:-cc} -E -P -Ibuild/include "$work/all.c" | tr '\n' ' ' | tr ';' '\n' |
    grep -F 'visibility("default")' | grep -oE 'ts_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$work/headers"
nm -D --defined-only build/libtunesmith.so | awk '$2 != "A" {sub("@.*", "", $3); print $3}' | sort >"$work/library"
[ "$(wc -l <"$work/map")" -ge 40 ] || { echo "runtime/tunesmith.map could not be read"; exit 1; }
for what in headers library; do
    diff "$work/map" "$work/$what" ||
        { echo "< runtime/tunesmith.map   > $what: edit the list if the change is meant (removals need a new soname)"; exit 1; }
done
# Manual pages know the flags that the programs know, and no others.
flags() { grep -oE -- '--[a-z][a-z-]*' | grep -vx -- '--help' | sort -u; }
passed=1
for program in tune infer; do
    { build/$program --help
      [ $program != tune ] || for c in $(build/tune --help | sed -n '/^Other commands/,$ s/^  tune \([a-z]*\).*/\1/p'); do build/tune $c --help; done; } | flags >"$work/help"
    sed 's/\\-/-/g' "$(ls tuner/$program.1 runtime/infer/$program.1 2>/dev/null)" | flags >"$work/manual"
    [ -s "$work/help" ]
    diff "$work/help" "$work/manual" | grep -v -- '--version' | grep '^[<>]' && { echo "$program: < --help, > manual page"; exit 1; }
    passed=$((passed + 1))
done
echo "$passed passed, 0 failed, 0 skipped"
