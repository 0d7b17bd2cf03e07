#!/bin/bash
# Bad input, as strangers' files and command lines bring it: each case has its exit status, exactly one line on
# stderr that holds a key phrase, and no report of a sanitizer. Needs the test database (tests/run makes it).
# The programs are those of `make asan`, which cost little more here; TUNESMITH_TEST_BIN names others.
cd "$(dirname "$0")/../.." || exit 1
bin=${TUNESMITH_TEST_BIN:-build/asan}
infer="$bin/infer --device cpu" tune=$bin/tune
db=${TUNESMITH_TEST_DB:-build/test.db}
tiny=tests/fixtures/mamba-tiny
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export TUNESMITH_DB=$tmp/t.db
passed=0 failed=0 skipped=0
cp "$db" "$tmp/t.db" && chmod 600 "$tmp/t.db" || exit 1

verdict() { # NAME GOOD(0 is good)
    if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
refused() { # NAME STATUS PHRASE COMMAND...
    local name=$1 status=$2 phrase=$3 got bad=0
    shift 3
    timeout 60 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    got=$?
    [ $got = "$status" ] && [ "$(wc -l <"$tmp/err")" = 1 ] && grep -qF -e "$phrase" "$tmp/err" || bad=1
    [ $bad = 0 ] || { echo "status $got (want $status), want one line with \"$phrase\":"; head -n 5 "$tmp/err"; }
    verdict "$name" $bad
}

# A safetensors file from a header text and a number of data bytes.
safetensors() { # FILE HEADER BYTES [LENGTH]: LENGTH is what the file claims the header to be
    python3 - "$@" <<'EOF'
import struct, sys
path, header, data = sys.argv[1], sys.argv[2].encode(), bytes(int(sys.argv[3]))
length = int(sys.argv[4]) if len(sys.argv) > 4 else len(header)
open(path, "wb").write(struct.pack("<Q", length) + header + data)
EOF
}
model() { rm -rf "$tmp/m" && cp -r $tiny "$tmp/m"; } # a fresh copy to damage
run() { refused "$1" 1 "$2" $infer -m "$tmp/m" --dtype fp32 --tokens 1 -n 1; }
weights() { model; safetensors "$tmp/m/model.safetensors" "$3" "${4:-8}" $5; run "$1" "$2"; } # NAME PHRASE HEADER BYTES

# Weights.
weights "oversized header" "cut off" '{}' 0 1000000000000
weights "header past the end" "cut off" '{}' 0 100
weights "header cut in its JSON" "line 1" '{"a":' 0
weights "header that is no object" "does not start with" '[1]' 0
weights "overlapping tensors" "overlaps" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}' 12
weights "a hole" "hole" '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}' 8
weights "offsets outside" "outside the file" '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}' 8
weights "shape overflows" "overflow" '{"a":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,8]}}' 8
weights "newline in a name" "unknown" '{"a\nb":{"dtype":"X","shape":[2],"data_offsets":[0,8]}}' 8
weights "no tensor of the model" "is missing" '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' 8
model; truncate -s 5 "$tmp/m/model.safetensors"; run "five bytes" "too short"
model; truncate -s 500000 "$tmp/m/model.safetensors"; run "truncated data" "outside the file"
model; rm "$tmp/m/model.safetensors"; run "no weights" "no model.safetensors"
model; mv "$tmp/m/model.safetensors" "$tmp/m/a.safetensors"
echo '{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}' >"$tmp/m/model.safetensors.index.json"; run "missing shard" "b.safetensors: No such file"
echo '{"weight_map":{"x":"../a.safetensors"}}' >"$tmp/m/model.safetensors.index.json"; run "shard outside" "plain file name"
model; python3 - "$tmp/m/model.safetensors" <<'EOF'
import json, struct, sys
b = bytearray(open(sys.argv[1], "rb").read())
n = struct.unpack("<Q", b[:8])[0]
h = json.loads(b[8:8 + n])["backbone.layers.1.mixer.D"]
at = 8 + n + h["data_offsets"][0]
nan = {"F32": b"\0\0\xc0\x7f", "BF16": b"\xc0\x7f", "F16": b"\0\x7e"}[h["dtype"]]
b[at:at + len(nan)] = nan
open(sys.argv[1], "wb").write(b)
EOF
run "NaN weights" "tensor backbone.layers.1.mixer.D holds NaN"

# config.json: one field after the other.
field() { # NAME PHRASE PYTHON: statements on c
    model
    python3 -c "import json; p='$tmp/m/config.json'; c=json.load(open(p)); $3; json.dump(c, open(p, 'w'))"
    run "$1" "$2"
    refused "$1 (tune)" "${4:-2}" "$2" $tune --gpu cpu --model "$tmp/m" --dry-run
}
field "no hidden_size" "hidden_size: an integer" "del c['hidden_size']"
field "vocab_size as text" "vocab_size: an integer" "c['vocab_size']='331'"
field "negative layers" "num_hidden_layers: an integer" "c['num_hidden_layers']=-1"
field "huge state" "state_size: an integer" "c['state_size']=10**9"
field "use_bias as a list" "use_bias: true or false" "c['use_bias']=[1]"
field "mamba2" "mamba2" "c['model_type']='mamba2'; c['architectures']=['Mamba2ForCausalLM']" 1
field "no model_type" "model_type" "del c['model_type']; c.pop('architectures',0)" 1
model; echo '{"a":' >"$tmp/m/config.json"; run "config.json cut off" "config.json: line"
model; echo '[]' >"$tmp/m/config.json"; run "config.json no object" "not a JSON object"
model; echo '{"top_p":"x"}' >"$tmp/m/generation_config.json"; run "generation_config.json" "top_p"
model; echo '{"model":{}}' >"$tmp/m/tokenizer.json"; run "tokenizer.json" "model.vocab"

# Images: a bomb, files that stop, a strip, formats that are not read, a directory that is none.
photo=tests/fixtures/preprocess/pre-chelsea.png
qwen=tests/fixtures/qwen2vl-tiny
pixels() { refused "$1" "$2" "$3" $infer -m $qwen --pixels "$tmp/pixels" --image "$4" "${@:5}"; }
python3 - "$tmp" <<'EOF'
import struct, sys, zlib
def chunk(name, data): return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
def png(w, h): return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) + \
    chunk(b"IDAT", zlib.compress(b"\0" * (h * (3 * w + 1)) if h < 1000 else b"")) + chunk(b"IEND", b"")
jpeg = bytes.fromhex("ffd8ffc00011 08 ea60 ea60 03 012200 021101 031101 ffda000c 03 0100 0200 0300 003f00 ffd9")
riff = lambda data: b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data
for name, data in {"bomb.png": png(60000, 60000), "strip.png": png(201, 1), "bomb.jpg": jpeg, "empty": b"", "gif": b"GIF89a" + bytes(20),
                   "bomb.webp": riff(b"VP8L" + struct.pack("<I", 10) + b"\x2f\xff\xff\xff\x0f" + bytes(5))}.items():
    open(sys.argv[1] + "/" + name, "wb").write(data)
EOF
pixels "PNG bomb" 1 "60000 x 60000 pixels, more than the limit" "$tmp/bomb.png"
pixels "JPEG bomb" 1 "60000 x 60000 pixels, more than the limit" "$tmp/bomb.jpg"
pixels "WebP bomb" 1 "16384 x 16384 pixels, more than the limit" "$tmp/bomb.webp"
pixels "a strip of 201 : 1" 1 "200 times" "$tmp/strip.png"
pixels "an empty image" 1 "an empty file" "$tmp/empty"
pixels "a GIF" 1 "GIF image: PNG, JPEG and WebP are read" "$tmp/gif"
pixels "a text as image" 1 "no known image format" README.md
pixels "no image" 1 "No such file" "$tmp/none.png"
pixels "limits crossed" 1 "is above the most" $photo --image-min-pixels 5000 --image-max-pixels 4000
for bytes in 20 50 5000 220000; do head -c $bytes $photo >"$tmp/cut.png"; pixels "PNG cut at $bytes" 1 "cut off" "$tmp/cut.png"; done
seed() { tail -c +2 "tests/fuzz/corpus/image/$1" | head -c "$2" >"$tmp/cut"; } # behind the first byte stands a file
for bytes in 3 30 300 600; do seed jpeg $bytes; pixels "JPEG cut at $bytes" 1 "JPEG image: the file is cut off" "$tmp/cut"; done
for bytes in 12 40 100; do seed webp $bytes; pixels "WebP cut at $bytes" 1 "WebP image: the file is cut off" "$tmp/cut"; done
for bytes in 12 30 50; do seed webp_lossless $bytes; pixels "lossless WebP cut at $bytes" 1 "WebP image: the file is cut off" "$tmp/cut"; done
seed webp 11; pixels "WebP cut in its name" 1 "no known image format" "$tmp/cut"
refused "no model directory" 1 "no such model directory" $infer -m "$tmp/nowhere" --pixels "$tmp/pixels" --image $photo
[ ! -e "$tmp/pixels" ]; verdict "no image, no file" $?
mkdir "$tmp/p" && echo '{"patch_size":"14"}' >"$tmp/p/preprocessor_config.json"
refused "preprocessor_config.json" 1 "patch_size: an integer" $infer -m "$tmp/p" --pixels "$tmp/pixels" --image $photo

# Videos: folders of a few frames, files that are none. Grids are read from the header of what --pixels writes.
digit=tests/fixtures/qwen2vl-mnist
cases=$digit/cases
clip() { # NUMBER: a folder of that many frames
    rm -rf "$tmp/clip" && mkdir "$tmp/clip" && for i in $(seq "$1"); do cp "$cases/case${i}_0.png" "$tmp/clip/$i.png" || return; done
}
slices() { # FILE: t of the first video
    python3 -c "import json, struct, sys; b = open(sys.argv[1], 'rb').read(); n = struct.unpack('<Q', b[:8])[0]
at = json.loads(b[8:8 + n])['video_grid_thw']['data_offsets'][0]; print(struct.unpack_from('<i', b, 8 + n + at)[0])" "$1"
}
for frames in 1 3 5; do # the last one is repeated
    clip $frames; rm -f "$tmp/pixels"
    $infer -m $digit --pixels "$tmp/pixels" --video "$tmp/clip" >"$tmp/out" 2>"$tmp/err" && [ ! -s "$tmp/err" ] &&
        [ "$(slices "$tmp/pixels")" = $(((frames + 1) / 2)) ]; verdict "a folder of $frames frames" $?
done
clip 3; $infer -m $digit --dtype fp32 --video "$tmp/clip" -p 'What digit is this?' -n 2 >"$tmp/out" 2>"$tmp/err" && [ -s "$tmp/out" ] && [ ! -s "$tmp/err" ]
verdict "three frames through the model" $?
rm -f "$tmp/pixels"
video() { refused "$1" 1 "$2" $infer -m $qwen --pixels "$tmp/pixels" --video "$3" "${@:4}"; }
mkdir "$tmp/clip/empty"; video "a folder without frames" "no frame in it" "$tmp/clip/empty"
cp README.md "$tmp/clip/2.png"; video "a text among the frames" "clip/2.png" "$tmp/clip"
clip 2; cp "$tmp/strip.png" "$tmp/clip/1.png"; video "a video of 201 : 1" "200 times" "$tmp/clip"
clip 2; cp "$tmp/bomb.png" "$tmp/clip/2.png"; video "a bomb among the frames" "clip/2.png: PNG image: the header says 60000 x 60000" "$tmp/clip"
cp README.md "$tmp/text.mp4"; video "a text as video" "text.mp4: " "$tmp/text.mp4"
: >"$tmp/empty.mkv"; video "an empty video" "empty.mkv: " "$tmp/empty.mkv"
video "no video" "none.mkv: " "$tmp/none.mkv"
[ ! -e "$tmp/pixels" ]; verdict "no video, no file" $?

# Prompts: placeholders and media that do not fit, more tokens than the model has positions.
ask() { refused "$1" 1 "$2" $infer -m "$3" --dtype fp32 "${@:4}"; }
ask "a placeholder without image" "token 1 is a placeholder without its image: the 0 given take 0 placeholders, the prompt has 2" $qwen --tokens 1,6,6,2
ask "a placeholder without video" "token 0 is a placeholder without its video" $qwen --tokens 7
ask "an image for a model of text" "sees no images" tests/fixtures/mamba-shakespeare --image $photo -p x
long=$(python3 -c 'print(",".join(["1"] * 32769))')
ask "a prompt beyond the positions" "the prompt has 32769 tokens, the model takes 32768" $qwen --tokens "$long"
ask "a prompt beyond -c" "the prompt has 3 tokens, -c allows 2" $qwen --tokens 1,2,3 -c 2
ask "-c beyond the positions" "-c 32769: the model takes 32768 tokens (max_position_embeddings)" $qwen --tokens 1 -c 32769
# 206 GB of rows: eight frames a patch, an image of two thousand million pixels.
if [ "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)" -lt 200000000 ]; then
    echo '{"temporal_patch_size":8}' >"$tmp/p/preprocessor_config.json"
    refused "too little memory" 1 "MiB are free" $infer -m "$tmp/p" --pixels "$tmp/pixels" --image "$cases/case0_0.png" --image-min-pixels 2100000000 --image-max-pixels 2147483647
    grep -qE "no memory for 2[0-9]{11} bytes on the host" "$tmp/err"; verdict "... and how much is needed" $?
else skipped=$((skipped + 2)); fi

# Tokenizers with bad merges: halves that are none, or not of the vocabulary, or a list that is none.
merges() { # NAME PHRASE MERGES VOCAB
    printf '{"model":{"type":"BPE","vocab":{"a":0,"b":1%s},"merges":%s},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"}}' "$4" "$3" >"$tmp/tokenizer.json"
    refused "$1" 1 "$2" $infer -m "$tmp" --tokenize -p ab
}
merges "a merge of one half" "model.merges[0] is not a pair" '["a"]'
merges "a merge of three halves" "model.merges[0] is not a pair" '[["a","b","a"]]'
merges "a merge of nothing" "model.merges[1] is not a pair" '["a b",""]' ',"ab":2'
merges "a merge without its result" 'model.merges[0]: a half or "ab" is not in model.vocab' '["a b"]'
merges "a merge of strangers" "model.merges[0]: a half or" '["x y"]' ',"xy":2'
merges "merges that are no list" "model.merges (an array) is missing" '{"a":"b"}'

# Databases.
with() { refused "$1" "$2" "$3" $infer -m $tiny --dtype fp32 --tokens 1 -n 1 --db "$tmp/bad.db"; }
fresh() { rm -f "$tmp/bad.db" && cp "$tmp/t.db" "$tmp/bad.db"; }
rm -f "$tmp/bad.db"; with "no database" 1 "no kernel database"
: >"$tmp/bad.db"; with "empty database" 1 "the file is empty"
head -c 300 "$tmp/t.db" >"$tmp/bad.db"; with "300 bytes" 1 "not an SQLite database"
head -c 5000 "$tmp/t.db" >"$tmp/bad.db"; with "truncated database" 1 "damaged"
head -c 20000 /dev/zero >"$tmp/bad.db"; with "zeros" 1 "not an SQLite database"
fresh; sqlite3 "$tmp/bad.db" 'PRAGMA application_id = 7'; with "another application" 1 "application"
fresh; sqlite3 "$tmp/bad.db" 'PRAGMA user_version = 99'; with "a newer version" 1 "update Tunesmith"
fresh; chmod 666 "$tmp/bad.db"; with "writable by others" 1 "can be written by others"
fresh; chmod 400 "$tmp/bad.db"; $infer -m $tiny --dtype fp32 --tokens 1,2 -n 2 --db "$tmp/bad.db" >"$tmp/out" 2>"$tmp/err" &&
    [ -s "$tmp/out" ] && [ ! -s "$tmp/err" ]; verdict "read-only works" $?
fresh; sqlite3 "$tmp/bad.db" "DELETE FROM winner WHERE kernel_id IN (SELECT id FROM kernel WHERE family = 'selective_scan');
    DELETE FROM kernel WHERE family = 'selective_scan'"
with "a specialization it lacks" 1 "tune --model $tiny"; grep -q "selective_scan n=" "$tmp/err"; verdict "... is named" $?
refused "tune into a text file" 1 "not an SQLite database" $tune --gpu cpu --family norm --db README.md
refused "tune ls without a database" 1 "no database" $tune ls --db "$tmp/none.db"

# 200 wrong bits, seeded: every run ends with 0 or 1, and 1 says why on stderr.
cat >"$tmp/flip.py" <<'EOF'
import random, sys
b = bytearray(open(sys.argv[1], "rb").read())
r = random.Random(int(sys.argv[3]))
at = r.randrange(len(b)) if int(sys.argv[3]) % 2 else r.randrange(len(b) // 4096) * 4096 + r.randrange(100)
b[at] ^= 1 << r.randrange(8)
open(sys.argv[2], "wb").write(b)
EOF
bad=0
for seed in $(seq "${TUNESMITH_TEST_FLIPS:-200}"); do
    fresh; python3 "$tmp/flip.py" "$tmp/t.db" "$tmp/bad.db" "$seed"
    timeout 60 $infer -m $tiny --dtype fp32 --tokens 1 -n 1 --db "$tmp/bad.db" >"$tmp/out" 2>"$tmp/err"
    got=$?
    { [ $got = 0 ] && [ -s "$tmp/out" ]; } || { [ $got = 1 ] && [ -s "$tmp/err" ]; } || { bad=1; echo "flip $seed: status $got"; head -n 3 "$tmp/err"; }
    grep -qE "ERROR: (Address|Leak)|runtime error" "$tmp/err" && { bad=1; echo "flip $seed: sanitizer"; }
done
verdict "flipped bits" $bad

# Command lines.
usage() { local name=$1 phrase=$2; shift 2; refused "$name" 2 "$phrase" "$@"; }
usage "infer: unknown flag" "--colour" $infer -m $tiny --tokens 1 --colour
usage "infer: unknown letter" "-Z" $infer -m $tiny --tokens 1 -Z
usage "infer: unknown letters" "'-x'" $infer -m $tiny -xyz
usage "infer: value missing" "--db" $infer -m $tiny --tokens 1 --db
usage "infer: pixels of nothing" "--pixels needs --image" $infer -m $qwen --pixels "$tmp/pixels"
usage "infer: no frames a second" "--fps" $infer -m $qwen --pixels "$tmp/pixels" --video "$tmp" --fps -1
usage "infer: no prompt" "what prompt" $infer -m $tiny
usage "infer: not a number" "-1" $infer -m $tiny --tokens 1 -n -1
usage "infer: ids" "ids with commas" $infer -m $tiny --dtype fp32 --tokens 1,x
usage "infer: negative id" "ids with commas" $infer -m $tiny --dtype fp32 --tokens -5
usage "infer: id past 32 bits" "ids with commas" $infer -m $tiny --dtype fp32 --tokens 4294967296
refused "infer: id past the vocabulary" 1 "331" $infer -m $tiny --dtype fp32 --tokens 331
refused "infer: no such device" 3 "infer: " $bin/infer --device cuda:99 -m $tiny --tokens 1
usage "tune: unknown flag" "unknown option --colour" $tune --colour
usage "tune: unknown letters" "unknown option -x" $tune -xyz
usage "tune: unknown command" "no command" $tune polish
usage "tune: value missing" "needs a value" $tune --gpu cpu --budget
usage "tune: not a time" "--budget soon" $tune --gpu cpu --budget soon
usage "tune: unknown family" "no_such" $tune --gpu cpu --family no_such --dry-run
usage "tune: unknown target" "sm_999" $tune --gpu sm_999 --dry-run
usage "tune: bad problem" "gemv" $tune --gpu cpu --problem 'gemv n=x' --dry-run

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
