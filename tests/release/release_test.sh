#!/bin/bash
# make release, unpacked in a folder of its own and used with no toolkit in sight: an empty PATH and environment, and, where
# this user may, a root folder that holds glibc and the release alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
verdict() { if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; tail -n 20 "$work/out" "$work/err"; fi; }
check() { local name=$1; shift; "$@" >"$work/out" 2>"$work/err"; verdict "$name" $?; }
refused() { # NAME PHRASE command
    local name=$1 phrase=$2; shift 2
    "$@" >"$work/out" 2>"$work/err"
    [ $? = 1 ] && grep -qF -- "$phrase" "$work/err"; verdict "$name" $?
}
release() { MAKEFLAGS='' make --no-print-directory release RELEASE_WINNERS="$work/winners" RELEASE_OUT="$work" "$@"; }
tuned=${TUNESMITH_TEST_DB:-build/test.db}

# ---- made ----
mkdir "$work/winners"
check "text of the CPU's winners" build/tune export --db "$tuned" --out "$work/winners"
check "a GPU's, predicted" build/tune --gpu sm_86 --problem 'norm m=16 d=96 kind=rms dtype=fp32 add=0' --db "$work/sm_86.db" --quiet
check "... as text" build/tune export --db "$work/sm_86.db" --out "$work/winners"
check "keygen" build/tune keygen --key "$work/packager"
cp "$work/packager" "$work/half"
refused "half a key" "public half" env RELEASE_KEY="$work/half" runtime/release/pack build 0 "$work/winners" "$work"
check "make release" release RELEASE_KEY="$work/packager"
grep -E '\.db: [0-9]+ bytes|tar\.gz' "$work/out"
tarball=$(echo "$work"/tunesmith-*-linux-"$(uname -m)".tar.gz)
first=$(sha256sum <"$tarball")
check "make release again" release RELEASE_KEY="$work/packager"
[ "$(sha256sum <"$tarball")" = "$first" ]; verdict "the same bytes" $?

# ---- unpacked ----
mkdir "$work/somewhere" && tar -xzf "$tarball" -C "$work/somewhere"
tree=$(echo "$work"/somewhere/*)
[ "$(ls "$work/somewhere")" = "$(basename "$tarball" .tar.gz)" ]; verdict "one folder of the tarball's name" $?
target=$(sqlite3 "$tuned" "SELECT name FROM target WHERE id IN (SELECT target_id FROM winner)")
db=$tree/share/tunesmith/tunesmith-$target.db
[ "$(cd "$tree/share/tunesmith" && echo *.db)" = "tunesmith-$target.db tunesmith-sm_86.db" ]; verdict "a database a target" $?
for file in "$tree"/share/tunesmith/*.db; do [ "$(stat -c %s "$file")" -lt 5000000 ]; verdict "under 5 MB: $file" $?; done
cmp -s "$work/packager.pub" "$tree/share/tunesmith/keys/tunesmith.pub"; verdict "the public key, nothing secret" $?
! grep -rlF -e "$root" -e "$work" "$tree" >"$work/out"; verdict "nothing names a folder of this machine" $?
! grep -n '@[A-Z]*@' "$tree/README.md" >"$work/out"; verdict "README is filled in" $?
(cd "$tree" && ! grep -oE '^\| `[a-z][^ ]*`' README.md | grep -oE '[a-z][^`,]*' | while read -r path; do
    ls -d $path >/dev/null || echo "$path"; done | grep .) >"$work/out" 2>"$work/err"; verdict "README names what is there" $?

# ---- run, with an empty environment ----
cp -r tests/fixtures/mamba-shakespeare "$work/model"
prompt=$'ROMEO:\n'
expected=$(python3 -c "import json; t = json.load(open('$work/model/expected.json')); print(t['greedy_text'][len(t['prompt']):])")
bare() { (cd "$work" && env -i PATH= HOME="$work/home" "$@"); }
version=$(sed -n 's/^#define TS_VERSION_[A-Z]* //p' runtime/tunesmith_kernels.h | paste -sd.)
[ "$(bare "$tree/bin/infer" --version)" = "infer $version" ]; verdict "infer --version" $?
[ "$(bare "$tree/bin/tune" --version)" = "tune $version" ]; verdict "tune --version" $?
[ "$(bare "$tree/bin/infer" -m model --tokenize -p 'ROMEO:')" = "$(build/infer -m "$work/model" --tokenize -p 'ROMEO:')" ]; verdict "infer --tokenize" $?
run=("$tree/bin/infer" -m model --device cpu --dtype fp32 -p "$prompt" -n 80)
[ "$(bare "${run[@]}" --db "$db" 2>"$work/err")" = "$expected" ]; verdict "the model's text" $?
bare "$tree/bin/tune" ls --db "$db" >"$work/out" 2>"$work/err"; verdict "tune ls" $?

# As the system's file: whoever signed it must be trusted.
mkdir -p "$work/share/tunesmith" && cp "$db" "$work/share/tunesmith/tunesmith.db"
refused "no key is trusted" "not signed by a trusted key" bare XDG_DATA_DIRS="$work/share" "${run[@]}"
keys=$tree/share/tunesmith/keys
[ "$(bare XDG_DATA_DIRS="$work/share" TUNESMITH_KEYS="$keys" "${run[@]}" 2>"$work/err")" = "$expected" ]; verdict "the unpacked key is trusted" $?
for at in 100 $(($(stat -c %s "$db") / 2)) $(($(stat -c %s "$db") - 1)); do
    python3 -c "import sys; d = bytearray(open(sys.argv[1], 'rb').read()); d[$at] ^= 1; open(sys.argv[2], 'wb').write(d)" "$db" "$work/flipped.db"
    refused "byte $at flipped" "changed after signing" bare "${run[@]}" --db "$work/flipped.db"
done

# ---- what it needs ----
needed() { readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|ld-linux-.*)\.so' | sort -u | paste -sd' '; }
[ "$(needed "$tree"/bin/*)" = "" ]; verdict "the programs need glibc alone: $(needed "$tree"/bin/*)" $?
[ "$(needed "$tree"/lib/*.so)" = "libjansson.so.4 libjpeg.so.62 libpng16.so.16" ]; verdict "the library three more: $(needed "$tree"/lib/*.so)" $?
if [ "$(id -u)" = 0 ] && chroot / true 2>/dev/null; then
    cell=$work/cell
    mkdir -p "$cell" && cp -r "$work/model" "$cell/" && cp -r "$tree" "$cell/release" && chmod -R go-w "$cell"
    for file in $(ldd "$tree/bin/infer" "$tree/bin/tune" | grep -oE '/[^ ]+\.so[^ ]*' | sort -u); do
        case $file in "$tree"*) ;; *) mkdir -p "$cell$(dirname "$file")" && cp -L "$file" "$cell$file" ;; esac
    done
    inside() { env -i PATH= /usr/sbin/chroot "$cell" "$@"; }
    [ "$(inside /release/bin/infer -m /model --device cpu --dtype fp32 -p "$prompt" -n 80 --db "/release/share/tunesmith/${db##*/}" 2>"$work/err")" = "$expected" ]
    verdict "the model's text where there is nothing but glibc" $?
else skipped=$((skipped + 1)); fi

# ---- a program of one's own ----
cp tests/install/program.c "$work/"
export PKG_CONFIG_PATH=$tree/lib/pkgconfig
flags=$(pkg-config --cflags --libs tunesmith)
[[ $flags == *"$tree"* && $flags != *"$root/"* ]]; verdict "pkg-config finds the unpacked tree: $flags" $?
# shellcheck disable=SC2086
check "a C program links" bash -c "cd '$work' && ${CC:-cc} -std=c17 -Wall -Wextra -Werror program.c -o program $flags"
check "... with the archive" bash -c "cd '$work' && ${CC:-cc} -std=c17 program.c -o static $(pkg-config --cflags --libs --static tunesmith | sed 's/-ltunesmith/-l:libtunesmith.a/')"
for program in program static; do
    bare LD_LIBRARY_PATH="$tree/lib" "$work/$program" "$db" "$work/model" >"$work/out" 2>"$work/err"
    [ $? = 0 ] && grep -qx "version $version" "$work/out" && grep -q '^kernel embedding/' "$work/out" && grep -q '^model I am a king' "$work/out"
    verdict "$program runs" $?
done
mv "$tree" "$work/moved"
[ "$(bare "$work/moved/bin/infer" --version)" = "infer $version" ]; verdict "the tree may be moved" $?
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
