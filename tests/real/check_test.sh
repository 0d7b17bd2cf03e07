#!/bin/bash
# tests/real/check on a fixture in place of a published checkpoint, with the fixture's own facts, then with wrong ones:
# what it says of a real directory is worth as much as its ability to fail. No published checkpoint is read here.
cd "$(dirname "$0")/../.." || exit 1
model=tests/fixtures/mamba-shakespeare
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cp "${TUNESMITH_TEST_DB:-build/test.db}" "$tmp/real.db" || exit 1
passed=0 failed=0

ok() { # NAME: the status of the command before
    if [ $? = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; cat "$tmp/out"; fi
}
check() { # STATUS LAST_LINE ARGUMENT...
    local status=$1 last=$2
    shift 2
    tests/real/check --gpu cpu --budget 1s --db "$tmp/real.db" --facts "$tmp/facts.json" "$@" >"$tmp/out" 2>&1
    [ $? = "$status" ] && [ "$(tail -n 1 "$tmp/out")" = "$last" ]
}
facts() { # STATEMENT: changes `text` or `logits`, the two facts of the fixture
    python3 - "$model" "$1" >"$tmp/facts.json" <<'END'
import json, pathlib, struct, subprocess, sys
model = pathlib.Path(sys.argv[1])
expected, config = (json.loads((model / name).read_text()) for name in ("expected.json", "config.json"))
data = (model / "expected.safetensors").read_bytes()
start = 8 + struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:start])
def first(name, kind, count):
    return list(struct.unpack_from(f"<{count}{kind}", data, start + header[name]["data_offsets"][0]))
ids = first("input_ids", "i", 6)
prompt = subprocess.run(["build/infer", "-m", model, "--detokenize", ",".join(map(str, ids))], stdout=subprocess.PIPE, check=True)
base = {"model": "fixture", "hidden_size": config["hidden_size"], "num_hidden_layers": config["num_hidden_layers"], "dtype": "fp32"}
text = base | {"prompt": expected["prompt"], "new_tokens": 80, "completion": expected["greedy_text"][len(expected["prompt"]):]}
logits = base | {"prompt": prompt.stdout.decode(), "prompt_ids": ids, "logits": first("logits", "f", 40), "rtol": 1e-3, "atol": 1e-3}
exec(sys.argv[2])
print(json.dumps([text, logits]))
END
}

facts "" && check 0 "3 passed, 0 failed, 1 skipped" --mamba $model; ok "the fixture's own facts"
facts "text['completion'] += '.'" && check 1 "2 passed, 1 failed, 1 skipped" --mamba $model; ok "another text"
facts "logits['logits'][39] += 0.1" && check 1 "2 passed, 1 failed, 1 skipped" --mamba $model; ok "another logit"
facts "logits['prompt_ids'][0] += 1" && check 1 "2 passed, 1 failed, 1 skipped" --mamba $model; ok "another id"
facts "text['num_hidden_layers'] = logits['num_hidden_layers'] = 99" && check 0 "0 passed, 0 failed, 2 skipped" --mamba $model
ok "a size of which nothing is published"
check 0 "0 passed, 0 failed, 2 skipped"; ok "no directory"
check 0 "0 passed, 0 failed, 2 skipped" --mamba /nonexistent --qwen /nonexistent; ok "directories that are not there"
mkdir "$tmp/bare" && cp $model/config.json "$tmp/bare/" && facts "" && check 1 "0 passed, 2 failed, 1 skipped" --mamba "$tmp/bare"
ok "a directory without weights"
make -s check-real 2>/dev/null | tail -n 1 | grep -qx '0 passed, 0 failed, 2 skipped'; ok "make check-real"

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
