#!/bin/bash
# An older compiler: NVRTC 12 of the Python package, given by --nvrtc. What it makes needs an older driver, and says so; chips
# that it does not know are refused by name; times measured with another compiler's code are not passed off as its own.
. "$(dirname "$0")/../tuner/lib.sh"
version=${NVRTC_VERSION:-12.4}
wheels=build/extra/nvrtc-$version
norm='norm m=16 d=96 kind=rms dtype=fp32 add=0'
says() { grep -qE -- "$1" "$scratch/out"; }
run() { "$@" >"$scratch/out" 2>&1; }
exits() { local status=$1; shift; run "$@"; [ $? = "$status" ]; }

if [ ! -d "$wheels" ]; then
    mkdir -p "$scratch/wheel"
    python3 -m pip download -q --no-deps -d "$scratch/wheel" "nvidia-cuda-nvrtc-cu12==$version.*" &&
        python3 -m zipfile -e "$scratch"/wheel/*.whl "$scratch/unpacked" && mkdir -p build/extra && mv "$scratch/unpacked" "$wheels" ||
        { echo "nvidia-cuda-nvrtc-cu12 $version could not be fetched"; exit 1; }
fi
old=$(find "$wheels" -name libnvrtc.so.12)
new=$(tests/find-nvrtc) || { echo "no other NVRTC to compare with; make setup"; exit 1; }

# Every version of every family is in its language; NVRTC_TARGETS for more chips than the one that has most versions.
for target in ${NVRTC_TARGETS:-sm_90a}; do
    check "kernels of $target" "$tune" check --gpu $target --nvrtc "$old" --compile-only --sample 0 --quiet
    tail -n 1 "$scratch/check.log" | sed "s/^/$target, nvrtc $version: /"
done
for target in sm_100a sm_120; do
    check "$target is refused" exits 1 "$tune" check --gpu $target --nvrtc "$old" --compile-only --family norm
    check "... by name" says "nvrtc $version makes no code for $target .*--nvrtc PATH"
done

# Text as of a card that measured what the newer compiler makes: a prediction's text, with times.
TUNESMITH_NVRTC=$new "$tune" --gpu sm_86 --problem "$norm" --db "$scratch/new.db" --quiet >/dev/null 2>&1
check "text" "$tune" export --db "$scratch/new.db" --out "$scratch/text.json"
sed -i 's/"evidence": "predicted", "time_us": null, "ci_low_us": null, "ci_high_us": null, "default_us": null/"evidence": "measured", "time_us": 2.5, "ci_low_us": 2.25, "ci_high_us": 2.75, "default_us": 3.0/
    s/^"device": ""/"device": "NVIDIA A10"/; s/"verdict": "[^"]*"/"verdict": "win"/' "$scratch/text.json"
check "built with the compiler of the text" run "$tune" build --nvrtc "$new" --db "$scratch/same.db" "$scratch/text.json"
check "... as measured" says "1 winners as measured, 0 to be"
check "built with the old one" run "$tune" build --nvrtc "$old" --db "$scratch/old.db" "$scratch/text.json"
compiler=$(query "$scratch/same.db" "SELECT DISTINCT compiler FROM kernel")
check "... which nobody measured" says "to be measured again norm .*: measured with code of $compiler"
check "the rows say who compiled" test "$(query "$scratch/old.db" "SELECT DISTINCT compiler, driver_min FROM kernel")" = "nvrtc $version|12000"
check "ls: the driver" bash -c "'$tune' ls --db '$scratch/old.db' | grep -q 'sm_86 on NVIDIA A10: 0 of 1 measured, 1 to be measured again, code for drivers of CUDA 12.0 and newer'"
run "$tune" explain --db "$scratch/old.db" "$norm"
check "explain: compiler and driver" says "compiled by nvrtc $version, code for drivers of CUDA 12.0 and newer"
check "explain: what was measured" says "what was measured: win, 2.50 us, 95 % interval 2.25 to 2.75, default 3.00 us"
check "TUNESMITH_NVRTC does the same" env TUNESMITH_NVRTC="$old" "$tune" build --quiet --db "$scratch/env.db" "$scratch/text.json"
check "... the same rows" test "$(query "$scratch/env.db" "SELECT hash FROM kernel ORDER BY hash")" = "$(query "$scratch/old.db" "SELECT hash FROM kernel ORDER BY hash")"
check "tune takes it too" run "$tune" --gpu sm_86 --nvrtc "$old" --problem "$norm" --db "$scratch/tuned.db"
check "... and stores its driver" test "$(query "$scratch/tuned.db" "SELECT DISTINCT compiler, driver_min FROM kernel")" = "nvrtc $version|12000"
finish
