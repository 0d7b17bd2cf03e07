#!/bin/bash
# The infer program as a user or another tool calls it: outputs, exit statuses, and what it does without a device,
# a database or a PATH. Needs the test database (tests/run makes it).
cd "$(dirname "$0")/../.." || exit 1
infer=${TUNESMITH_TEST_INFER:-build/infer}
export TUNESMITH_DB=${TUNESMITH_TEST_DB:-build/test.db}
device="--device ${TUNESMITH_TEST_DEVICE:-cpu}"
model=tests/fixtures/mamba-shakespeare tiny=tests/fixtures/mamba-tiny
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

ok() { # NAME: the status of the command before
    if [ $? = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
exits() { # STATUS WORD COMMAND...: exit status, and a word of stderr
    local status=$1 word=$2
    shift 2
    "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    local got=$?
    [ $got = "$status" ] && grep -qF -e "$word" "$tmp/err"
    local good=$?
    [ $good = 0 ] || { echo "status $got (want $status), want \"$word\" in:"; cat "$tmp/err"; }
    return $good
}
json() { # EXPRESSION over rows (all lines) and last (the last one); true is success
    python3 -c "import json, sys; rows = [json.loads(line) for line in sys.stdin]; last = rows[-1]; sys.exit(not ($1))"
}

# Text: exactly the reference's completion, nothing more.
python3 -c "import json; t = json.load(open('$model/expected.json')); print(t['greedy_text'][len(t['prompt']):], end='')" >"$tmp/want"
$infer $device --dtype fp32 -m $model -p $'ROMEO:\n' -n 80 >"$tmp/got" && cmp "$tmp/want" "$tmp/got"; ok "greedy text"
printf 'ROMEO:\n' >"$tmp/prompt"
$infer $device --dtype fp32 -m $model -f "$tmp/prompt" -n 80 >"$tmp/got" && cmp "$tmp/want" "$tmp/got"; ok "prompt from a file"
env -i "TUNESMITH_DB=$TUNESMITH_DB" PATH= $infer $device --dtype fp32 -m $model -f "$tmp/prompt" -n 80 >"$tmp/got" &&
    cmp "$tmp/want" "$tmp/got"; ok "with an empty environment"
[ -z "$($infer $device -m $model -p x -n 0)" ]; ok "-n 0 prints nothing"
$infer $device --dtype fp32 -m $model -p $'ROMEO:\n' -n 80 --json >"$tmp/json" &&
    json "len(rows) == 81 and ''.join(r['text'] for r in rows) == open('$tmp/want').read()" <"$tmp/json" &&
    json "last['finish'] == 'length' and last['new_tokens'] == 80 and last['load_s'] > 0 and last['decode_tokens_per_s'] > 0" <"$tmp/json"
ok "--json"
$infer $device -m $model -p x -n 3 -v >"$tmp/out" 2>"$tmp/err" && grep -q 'generated 3 tokens' "$tmp/err"; ok "-v"
$infer $device --dtype fp32 -m $model -p $'ROMEO:\n' -c 5 --json | json "last['prompt_tokens'] == 3 and last['new_tokens'] == 2"; ok "-c limits the output"
a=$($infer $device -m $model -p x -n 20 --temp 1 --seed 5) && b=$($infer $device -m $model -p x -n 20 --temp 1 --seed 5) &&
    c=$($infer $device -m $model -p x -n 20 --temp 1 --seed 6) && [ "$a" = "$b" ] && [ "$a" != "$c" ]; ok "a seed is a text"

# Perplexity and speed.
$infer $device --dtype fp32 -m $model --perplexity $model/perplexity.txt | grep -q '^perplexity 43\.51 '; ok "perplexity"
$infer $device --dtype fp32 -m $model --perplexity $model/perplexity.txt --json |
    json "abs(last['perplexity'] - 43.5076) < 0.005 and last['tokens'] == 685 and last['windows'] == 5"
ok "perplexity --json"
$infer $device -m $tiny --bench --json |
    json "[r['figure'] for r in rows] == ['load', 'prefill', 'prefill', 'batch', 'decode'] and rows[0]['load_s'] > 0 and
          [r['prefill_tokens'] for r in rows[1:3]] == [512, 2048] and all(r['prefill_tokens_per_s'] > 0 for r in rows[1:3]) and
          rows[3]['sequences'] == 8 and rows[3]['decode_tokens_per_s'] > 0 and
          abs(last['us_per_token'] * last['decode_tokens_per_s'] / 1e6 - 1) < 1e-3 and
          abs(last['limit_tokens_per_s'] * last['bytes_per_token'] / last['copy_gbytes_per_s'] / 1e9 - 1) < 1e-3 and
          abs(last['share_of_limit'] * last['limit_tokens_per_s'] / last['decode_tokens_per_s'] - 1) < 1e-3"
ok "--bench --json"
[ "$($infer $device -m $tiny --bench -n 8 | wc -l)" = 6 ]; ok "--bench"
$infer $device -m $tiny --bench --tokens 1,2,3 -n 8 --json | json "[r.get('prefill_tokens') for r in rows] == [None, 3, None, None]"
ok "--bench of a given prompt"

# Made-up weights: a config.json is enough, in a directory or by itself.
mkdir "$tmp/bare" && cp $tiny/config.json "$tmp/bare/"
$infer $device -m "$tmp/bare" --random-weights --bench -n 8 --json |
    json "rows[0]['random_weights'] and last['bytes_per_token'] > rows[0]['weight_bytes'] > 0"; ok "--random-weights --bench"
made_up() { # SEED FILE: ids on stdout, logits to the file
    $infer $device -m "$tmp/bare/config.json" --random-weights --seed "$1" --tokens 1,2,3 -n 4 --dtype fp32 --logits "$2"
}
made_up 1 "$tmp/a" | grep -qE '^[0-9]+(,[0-9]+){3}$' && made_up 1 "$tmp/b" >"$tmp/out" && made_up 2 "$tmp/c" >"$tmp/out" &&
    cmp "$tmp/a" "$tmp/b" && ! cmp -s "$tmp/a" "$tmp/c"; ok "--random-weights --seed"
exits 1 "no model.safetensors" $infer $device -m "$tmp/bare" --tokens 1; ok "config.json alone"

# Ids in and out, without a tokenizer; the same with the model's logits written.
[ "$($infer $device --dtype fp32 -m $tiny --tokens 1,2,3 -n 4)" = "$($infer $device --dtype fp32 -m $tiny --tokens '1, 2, 3' -n 4)" ] &&
    $infer $device --dtype fp32 -m $tiny --tokens 1,2,3 -n 4 | grep -qE '^[0-9]+(,[0-9]+){3}$'; ok "--tokens"
$infer $device --dtype fp32 -m $tiny --tokens 1,2,3 -n 0 --logits "$tmp/logits" && [ "$(stat -c %s "$tmp/logits")" = $((8 + $(od -An -tu8 -N8 "$tmp/logits") + 3 * 331 * 4)) ] &&
    head -c 200 "$tmp/logits" | grep -aqF '"logits":{"dtype":"F32","shape":[3,331],"data_offsets":[0,3972]}'; ok "--logits"

# The tokenizer alone: no weights, device or database.
mkdir "$tmp/only" && cp $model/tokenizer.json "$tmp/only/"
[ "$(TUNESMITH_DB=/nonexistent $infer -m "$tmp/only" --tokenize -p 'Hello world')" = "[41,410,80,868]" ]; ok "--tokenize"
[ "$($infer -m "$tmp/only" --tokenize -p '<|endoftext|>a')" = "[0,66]" ]; ok "--tokenize parses special tokens"
[ "$($infer -m "$tmp/only" --tokenize -p '')" = "[]" ]; ok "--tokenize of nothing"
[ "$($infer -m "$tmp/only" --detokenize 41,410,80,868)" = "Hello world" ]; ok "--detokenize"

# The caller's embeddings: the fixture's own file holds inputs_embeds.
$infer $device --dtype fp32 -m $tiny --embeds $tiny/expected.safetensors -n 3 | grep -qE '^[0-9]+(,[0-9]+){2}$'; ok "inputs_embeds"
exits 2 "leave out" $infer $device -m $tiny --embeds $tiny/expected.safetensors --tokens 1; ok "inputs_embeds and a prompt"
exits 1 "embeddings.weight" $infer $device -m $tiny --embeds $tiny/model.safetensors --tokens 1; ok "a file without embeddings"

# Everything else.
$infer --version | grep -qE '^infer [0-9]+\.[0-9]+\.[0-9]+$'; ok "--version"
$infer --help | grep -q -e '--repeat-penalty'; ok "--help"
exits 2 "which model" $infer -p x; ok "no model"
exits 2 "what prompt" $infer -m $model; ok "no prompt"
exits 2 "exclude" $infer -m $model -p x --tokens 1; ok "two prompts"
exits 2 "unrecognized option" $infer -m $model -p x --colour; ok "unknown option"
exits 2 "--temp warm" $infer -m $model -p x --temp warm; ok "not a number"
exits 2 "--tokens 1,,2" $infer $device -m $model --tokens 1,,2; ok "not ids"
exits 2 "--dtype int4" $infer -m $model -p x --dtype int4; ok "not a dtype"
exits 2 "what is" $infer -m $model -p x y; ok "stray word"
exits 3 "" $infer -m $model -p x --device cuda:99; ok "no such device"
exits 1 "/nonexistent/config.json" $infer $device -m /nonexistent -p x; ok "no such model"
exits 1 "/nonexistent.db" $infer $device -m $model -p x --db /nonexistent.db; ok "no such database"
exits 1 "id 331" $infer $device -m $tiny --tokens 331; ok "id outside the vocabulary"
exits 1 "-c allows 2" $infer $device -m $tiny --tokens 1,2,3 -c 2; ok "prompt longer than the context"
exits 1 "temperature" $infer $device -m $tiny --tokens 1 --temp -1; ok "bad sampling"
exits 1 "empty prompt" $infer $device -m $model -p ''; ok "empty prompt"

# Images: the answer and nothing more; what does not fit is refused.
digits=tests/fixtures/qwen2vl-mnist
ask() { $infer $device --dtype fp32 -m $digits "$@"; }
[ "$(ask --image $digits/cases/case0_0.png -p 'What digit is this?')" = nine ]; ok "an image"
[ "$(ask --image $digits/cases/case2_0.png --image $digits/cases/case2_1.png -p 'Which two digits are these?')" = "two and one" ]; ok "two images"
printf 'What digit is this?' >"$tmp/question"
ask --image $digits/cases/case0_0.png -f "$tmp/question" --json >"$tmp/json" && json "last['finish'] == 'stop' and rows[0]['text'] == 'nine'" <"$tmp/json"
ok "a question from a file, JSON"
mkdir "$tmp/frames" && for i in 1 2 3; do cp $digits/cases/case0_0.png "$tmp/frames/$i.png"; done
ask --video "$tmp/frames" -p 'What digit is this?' -n 4 >/dev/null; ok "a folder of frames"
ask -p 'text that says <|image_pad|> and <|video_pad|>' -n 2 >/dev/null; ok "text never becomes a placeholder"
ask --system 'Be brief.' -p hello -n 2 >/dev/null; ok "a system message"
exits 1 "sees no images" $infer $device -m $model --image $digits/cases/case0_0.png -p x; ok "an image for a model of text"
exits 1 "No such file" ask --image /nonexistent.png -p x; ok "no such image"
exits 1 "No such file" ask --video /nonexistent -p x; ok "no such folder of frames"
exits 2 "go with a prompt" ask --image $digits/cases/case0_0.png --tokens 1; ok "an image with ids"
exits 1 "-c allows 5" ask --image $digits/cases/case0_0.png -p x -c 5; ok "an image longer than the context"

# Ctrl-C: the text so far, a summary, status 0.
mkfifo "$tmp/pipe"
$infer $device -m $model -p x -n 100000000 --json >"$tmp/pipe" 2>"$tmp/err" &
pid=$!
{ read -r _; kill -INT $pid; tail -n 1 >"$tmp/last"; } <"$tmp/pipe"
wait $pid && json "last['finish'] in ('cancelled', 'stop')" <"$tmp/last"; ok "Ctrl-C"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
