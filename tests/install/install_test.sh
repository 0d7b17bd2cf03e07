#!/bin/bash
# make install, as a packager (DESTDIR) and as a user (PREFIX alone): a C program and a Python script outside the tree build
# and run against what was installed, found by pkg-config alone; the installed tune works from the installed templates;
# uninstall leaves nothing; the tarball builds without git.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD here=$PWD/tests/install
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@" >"$work/check.log" 2>&1; then passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $what: $*"
        tail -n 20 "$work/check.log" | sed 's/^/    /'
    fi
}
quiet_make() { MAKEFLAGS='' make --no-print-directory "$@"; }
version=$(sed -n 's/^#define TS_VERSION_[A-Z]* //p' runtime/tunesmith_kernels.h | paste -sd.)

# ---- as a packager: staged below DESTDIR, found through the sysroot ----
stage=$work/stage
check "make install DESTDIR" quiet_make install DESTDIR="$stage" PREFIX=/opt/ts
check "nothing outside DESTDIR's prefix" test "$(ls "$stage") $(ls "$stage/opt")" = "opt ts"
check "nothing names the source tree or DESTDIR" bash -c "! grep -rlF -e '$root/' -e '$stage' '$stage' --include=*.pc --include=*.h --include=*.lua --include=*.py --include=*.1"
check "links" test "$(readlink "$stage/opt/ts/lib/libtunesmith.so"):$(readlink "$stage/opt/ts/lib/libtunesmith.so.0")" = "libtunesmith.so.0:libtunesmith.so.0.${version#0.}"
check "no run path" bash -c "! readelf -d '$stage/opt/ts/lib/libtunesmith.so' | grep -E 'RUNPATH|RPATH'"

# The programs work from where they are now, which nobody told them, and move with the tree.
mv "$stage/opt/ts" "$work/moved"
db=$work/kernels.db
tune() { (cd / && env -u TUNESMITH_DB HOME="$work/home" "$work/moved/bin/tune" "$@"); }
check "installed tune" tune --gpu cpu --problem 'embedding t=8 v=100 d=32 dtype=fp32' --budget 5s --db "$db"
mv "$work/moved/share/tunesmith/templates" "$work/hidden"
check "installed tune uses the installed templates" bash -c "cd / && '$work/moved/bin/tune' check --gpu cpu --family embedding 2>&1 | grep 'no templates in $work/moved'"
mv "$work/hidden" "$work/moved/share/tunesmith/templates"
chmod go-w "$db"
mv "$work/moved" "$stage/opt/ts"

# ---- outside programs; the environment says where pkg-config looks, and nothing else is known ----
mkdir "$work/outside"
cp "$here/program.c" "$here/program.py" "$work/outside/"
cc=${CC:-cc}
build() { # PROGRAM FLAGS...
    (cd "$work/outside" && $cc -std=c17 -Wall -Wextra -Werror program.c -o "$@")
}
says_kernel() { grep -qx "version $version" "$1" && grep -q '^kernel embedding/' "$1"; }
outside() { # WHERE LIBDIR: the three ways to use an installation
    check "$1: pkg-config knows it" test "$(pkg-config --modversion tunesmith)" = "$version"
    local flags static
    flags=$(pkg-config --cflags --libs tunesmith)
    static=$(pkg-config --cflags --libs --static tunesmith | sed 's/-ltunesmith/-l:libtunesmith.a/')
    check "$1: flags name nothing of the source tree" bash -c "! grep -qF '$root' <<<'$flags $static'"
    # shellcheck disable=SC2086
    check "$1: shared" build shared $flags
    # shellcheck disable=SC2086
    check "$1: static" build static $static
    check "$1: the shared program needs the soname" bash -c "readelf -d '$work/outside/shared' | grep -q 'libtunesmith.so.0\]'"
    check "$1: the static program needs no library of ours" bash -c "! readelf -d '$work/outside/static' | grep -q tunesmith"
    (cd "$work/outside" && LD_LIBRARY_PATH=$2 ./shared "$db") >"$work/shared.out" 2>&1
    check "$1: shared runs" says_kernel "$work/shared.out"
    (cd "$work/outside" && ./static "$db") >"$work/static.out" 2>&1
    check "$1: static runs" says_kernel "$work/static.out"
    (cd "$work/outside" && PYTHONPATH=$3 python3 program.py "$db") >"$work/python.out" 2>&1
    check "$1: python runs" says_kernel "$work/python.out"
    [ "$failed" = 0 ] || cat "$work"/*.out
}
unset TUNESMITH_LIB
export PKG_CONFIG_PATH=$stage/opt/ts/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage
outside staged "$stage/opt/ts/lib" "$stage/opt/ts/lib/python3/dist-packages"
unset PKG_CONFIG_SYSROOT_DIR

# ---- as a user: PREFIX alone, libraries where a multiarch system has them ----
prefix=$work/prefix
install_user() { quiet_make "$1" PREFIX="$prefix" LIBDIR="$prefix/lib/multi"; }
check "make install PREFIX LIBDIR" install_user install
export PKG_CONFIG_PATH=$prefix/lib/multi/pkgconfig
(export LD_LIBRARY_PATH=$prefix/lib/multi; outside prefix "$prefix/lib/multi" "$(pkg-config --variable=pythondir tunesmith)"
 echo "$passed $failed" >"$work/counts")
read -r passed failed <"$work/counts"

# The fixture's model, from the database that the test run tuned; alone, the kernel above is what there is.
if [ -e "${TUNESMITH_TEST_DB:-}" ]; then
    cp "$TUNESMITH_TEST_DB" "$work/model.db" && chmod go-w "$work/model.db"
    check "the installed tune adds to a database" "$prefix/bin/tune" --gpu cpu --problem 'embedding t=8 v=100 d=32 dtype=fp32' --budget 2s --db "$work/model.db"
    LD_LIBRARY_PATH=$prefix/lib/multi "$work/outside/shared" "$work/model.db" tests/fixtures/mamba-shakespeare >"$work/model.out" 2>&1
    check "shared program runs the fixture's model" grep -q '^model I am a king' "$work/model.out"
    check "installed infer runs it" bash -c "'$prefix/bin/infer' -m tests/fixtures/mamba-shakespeare --db '$work/model.db' --device cpu -p \$'ROMEO:\n' -n 12 | grep 'I am a king'"
else skipped=$((skipped + 3)); fi
touch "$prefix/share/tunesmith/tunesmith.db"
check "make uninstall" install_user uninstall
check "uninstall takes all of it, but not the user's database" test "$(find "$prefix" ! -type d)" = "$prefix/share/tunesmith/tunesmith.db"

# ---- the tarball: the same bytes twice, and it builds where there is no git ----
if git rev-parse --git-dir >/dev/null 2>&1; then
    check "make dist" quiet_make dist
    mv "build/tunesmith-$version.tar.gz" "$work/first.tar.gz"
    check "make dist again" quiet_make dist
    check "the same bytes" cmp "$work/first.tar.gz" "build/tunesmith-$version.tar.gz"
    tar -xzf "$work/first.tar.gz" -C "$work"
    check "the tarball holds the tracked files" test "$(cd "$work/tunesmith-$version" && find . ! -type d | sed 's|^\./||' | LC_ALL=C sort | cksum)" = "$(git ls-tree -r --name-only HEAD | LC_ALL=C sort | cksum)"
    # Unoptimised, since what is to be seen is that nothing is missing.
    check "the tarball builds" env GIT_DIR=/nonexistent MAKEFLAGS= make --no-print-directory -C "$work/tunesmith-$version" -j2 CFLAGS=-O0 build/tune
    check "its tune says the version" test "$("$work/tunesmith-$version/build/tune" --version)" = "tune $version"
    check "its tune finds its own templates" bash -c "cd / && '$work/tunesmith-$version/build/tune' check --gpu cpu --problem 'embedding t=8 v=100 d=32 dtype=fp32'"
else skipped=$((skipped + 7)); fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
