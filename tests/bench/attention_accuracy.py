#!/usr/bin/env python3
"""Errors of sdpa against float64 beside those of PyTorch's in the same dtype, on the same inputs, where attention goes wrong.

The rule, for each element of each case: |ours - exact| <= 2 E + 2 u. E is the largest |PyTorch - exact| of the case, PyTorch being
scaled_dot_product_attention with the MATH backend (which works in fp32 and rounds once); u is the element's unit in the last place,
2^floor(log2 |exact|) times 2^-7 (bf16) or 2^-10 (fp16). `share` is the largest |ours - exact| / (2 E + 2 u): above 1 the rule is
broken. A row that sees no key must be exactly 0. Beside it, the error of the formula with every step rounded to 16 bits (`eager`).
Ours is whatever the database chose for the problem; cases are small, but for one whose rows lie 32 MiB apart (10 GB).
Writes tests/bench/results/<device>-attention-accuracy.json and a table. Exit 1 if the rule is broken or a kernel is missing.
Usage: attention_accuracy.py --db FILE [--out DIR]
       attention_accuracy.py --problems          what the database must have been tuned for, a line each
"""
import argparse
import datetime
import itertools
import json
import pathlib
import sys

import torch
import torch.nn.functional as F

from peers_attention import attention
from peers_measure import ROOT, ask_driver, tunesmith

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
HEADS = {80: (4, 4), 128: (6, 2)}  # by head_dim: query heads, key heads
NORMAL, BELOW, ABOVE = None, ((4, 8), (-8, -4)), ((3, 6), (3, 6))  # ranges of q and of k

# Name, causal, (queries, keys) of each sequence, packed (varlen), values, storage.
CASES = [
    ("usual, full", 0, [(1000, 1000)], False, NORMAL, "plain"),
    ("usual, causal", 1, [(1000, 1000)] * 2, False, NORMAL, "plain"),
    ("rows that see no key", 1, [(300, 77)] * 2, False, NORMAL, "plain"),
    ("no row but three sees a key", 1, [(130, 3)], False, NORMAL, "plain"),
    ("more queries than keys", 0, [(300, 77)] * 2, False, NORMAL, "plain"),
    ("more keys than queries", 1, [(77, 1000)], False, NORMAL, "plain"),
    ("no keys", 0, [(9, 0)] * 2, False, NORMAL, "plain"),
    ("no keys, causal", 1, [(9, 0)] * 2, False, NORMAL, "plain"),
    ("sequences of one", 0, [(1, 1)] * 5 + [(257, 257)] + [(1, 1)] * 3 + [(0, 0), (1, 1)], True, NORMAL, "plain"),
    ("sequences of one, causal", 1, [(1, 1)] * 5 + [(257, 257)] + [(1, 1)] * 3 + [(0, 0), (1, 1)], True, NORMAL, "plain"),
    ("packed, of all kinds", 1, [(5, 64), (300, 20), (0, 33), (7, 0), (129, 129), (1, 200)], True, NORMAL, "plain"),
    ("scores far below 0", 0, [(200, 333)], False, BELOW, "plain"),
    ("scores far below 0, causal", 1, [(333, 333)], False, BELOW, "plain"),
    ("scores far above 0", 0, [(200, 333)], False, ABOVE, "plain"),
    ("views of a fused qkv", 0, [(500, 500)], False, NORMAL, "fused"),
    ("views of a fused qkv, causal", 1, [(500, 500)] * 2, False, NORMAL, "fused"),
    ("views of a fused qkv, packed", 0, [(256, 256), (64, 64), (400, 400)], True, NORMAL, "fused"),
    ("rows 32 MiB apart", 1, [(300, 300)], False, NORMAL, "far"),
    ("NaN around the rows", 0, [(333, 333)], False, NORMAL, "nan"),
    ("NaN around the rows, causal", 1, [(200, 333)], False, NORMAL, "nan"),
    ("NaN around the rows, packed", 0, [(100, 100), (65, 65), (3, 3)], True, NORMAL, "nan"),
    ("NaN in keys that no query has", 0, [(100, 65), (0, 47), (70, 129)], True, NORMAL, "neighbour"),
]
FAR_PITCH = 1 << 24  # elements: 300 rows end 2^33 bytes and more behind the first


# ---- inputs ----


def stored(storage, rows_q, rows_k, hq, hkv, d, dtype):
    """q, k, v, out as matrices, a row a token and at least one; views of memory as `storage` says, of which the rest is NaN or anything."""
    widths, rows = (hq * d, hkv * d, hkv * d, hq * d), [max(n, 1) for n in (rows_q, rows_k, rows_k, rows_q)]
    if storage in ("fused", "far"):
        ends = list(itertools.accumulate(widths))
        pitch = FAR_PITCH if storage == "far" else ends[2]
        whole = torch.empty(max(rows), pitch, device="cuda", dtype=dtype)
        views = [whole[:n, end - width:end] for n, width, end in zip(rows, widths, ends)]
        return views if storage == "far" else views[:3] + [torch.empty(rows_q, hq * d, device="cuda", dtype=dtype)]
    margin, pad = (70, 24) if storage == "nan" else (0, 0)
    return [torch.full((n + margin, width + pad), float("nan"), device="cuda", dtype=dtype)[:n, :width] for n, width in zip(rows, widths)]


def filled(view, ends=None):
    random = torch.randn(view.shape, device="cuda")
    view.copy_(random if ends is None else ends[0] + (ends[1] - ends[0]) * torch.rand(view.shape, device="cuda"))


# ---- what PyTorch makes of one sequence: q [lq, hq, d], k, v [lk, hkv, d] ----


def spread(q, k, v, causal):
    """Heads outermost, key heads repeated, and which keys a row sees."""
    group, (lq, lk) = q.shape[1] // k.shape[1], (len(q), len(k))
    seen = torch.ones(lq, lk, device=q.device, dtype=torch.bool).tril(lk - lq if causal else lk)
    return q.transpose(0, 1), *(t.transpose(0, 1).repeat_interleave(group, 0) for t in (k, v)), seen


def pytorch_math(q, k, v, causal):
    q, k, v, seen = spread(q, k, v, causal)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=seen)[0].transpose(0, 1).nan_to_num(0)


def eager(q, k, v, causal):
    q, k, v, seen = spread(q, k, v, causal)
    scores = (q @ k.transpose(1, 2) * q.shape[-1]**-0.5).masked_fill(~seen, float("-inf"))
    return (scores.softmax(-1).nan_to_num(0) @ v).transpose(0, 1)


# ---- a case ----


def ulp(x, dtype):
    info = torch.finfo(dtype)
    return torch.exp2(torch.floor(torch.log2(x.abs().clamp(min=info.tiny)))) * info.eps


def errors(kernels, name, d, causal, lengths, packed, ranges, storage):
    dtype, (hq, hkv), b = DTYPES[name], HEADS[d], len(lengths)
    begins_q, begins_k = ([0, *itertools.accumulate(n)] for n in zip(*lengths))
    lq, lk = (max(n) for n in zip(*lengths))
    q, k, v, out = stored(storage, begins_q[-1], begins_k[-1], hq, hkv, d, dtype)
    filled(q, ranges and ranges[0])
    filled(k, ranges and ranges[1])
    filled(v)
    if storage == "neighbour":
        for s in range(b):
            if lengths[s][0] == 0:
                k[begins_k[s]:begins_k[s + 1]] = v[begins_k[s]:begins_k[s + 1]] = float("nan")
    out.fill_(float("nan"))
    offsets = [torch.tensor(n, device="cuda", dtype=torch.int32) if packed else None for n in (begins_q, begins_k)]
    kernel = kernels.find(f"sdpa b={b} lq={lq} lk={lk} hq={hq} hkv={hkv} head_dim={d} dtype={name} causal={causal} varlen={int(packed)}")
    extents = dict(b=b, lq=lq, lk=lk, hq=hq, hkv=hkv, scale=d**-0.5)
    pitches = dict(q_pitch=q.stride(0), k_pitch=k.stride(0), v_pitch=v.stride(0), out_pitch=out.stride(0))
    workspace = torch.empty(kernel.workspace_bytes(**extents) + 256, device="cuda", dtype=torch.uint8)
    kernel.prepare(workspace=workspace.data_ptr(), q=q, k=k, v=v, cu_q=offsets[0], cu_k=offsets[1], out=out, **extents,
                   **pitches).launch(torch.cuda.current_stream())
    exact, results = [], {"ours": [], "pytorch": [], "eager": []}
    for s, (n_q, n_k) in enumerate(lengths):
        rows_q, rows_k = slice(begins_q[s], begins_q[s] + n_q), slice(begins_k[s], begins_k[s] + n_k)
        one = [t[rows].contiguous().unflatten(1, (heads, d)) for t, rows, heads in ((q, rows_q, hq), (k, rows_k, hkv), (v, rows_k, hkv))]
        exact.append(attention(*one, causal))
        results["ours"].append(out[rows_q].contiguous().view(n_q, hq, d))
        for who, peer in (("pytorch", pytorch_math), ("eager", eager)):
            results[who].append(peer(*one, causal) if n_q and n_k else torch.zeros(n_q, hq, d, device="cuda", dtype=dtype))
    exact = torch.cat(exact)
    off = {who: (torch.cat(parts).double() - exact).abs() for who, parts in results.items()}
    share = off["ours"] / (2 * off["pytorch"].max() + 2 * ulp(exact, dtype))
    share[(exact == 0) & (off["ours"] != 0)] = float("inf")
    share = share.max().item()
    return dict(dtype=name, head_dim=d, variant=kernel.variant, **{who: values.max().item() for who, values in off.items()},
                share=share, holds=share <= 1)


def problems():
    """One for each kernel that the cases need."""
    for d, name, causal, packed in itertools.product(HEADS, DTYPES, (0, 1), (0, 1)):
        hq, hkv = HEADS[d]
        yield f"sdpa b=2 lq=1000 lk=1000 hq={hq} hkv={hkv} head_dim={d} dtype={name} causal={causal} varlen={packed}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--db")
    mode.add_argument("--problems", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/bench/results")
    options = parser.parse_args()
    if options.problems:
        print(*problems(), sep="\n")
        return 0
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    kernels = tunesmith.Kernels(tunesmith.Device("cuda"), options.db)
    report = dict(device=torch.cuda.get_device_name(), driver=ask_driver("driver_version"), date=datetime.date.today().isoformat(),
                  torch=torch.__version__, rule="|ours - exact| <= 2 max |pytorch - exact| + 2 ulp", rows=[])
    print(f"{report['device']}\n{'case':30} {'dtype':5} {'dim':>4} {'ours':>9} {'PyTorch':>9} {'eager':>9} {'share':>6}  variant")
    failures = 0
    for (case, *what), name, d in itertools.product(CASES, DTYPES, HEADS):
        try:
            row = dict(case=case, **errors(kernels, name, d, *what))
        except (RuntimeError, tunesmith.TunesmithError) as failure:
            print(f"{case:30} {name:5} {d:4} not measured: {failure}", flush=True)
            failures += 1
            continue
        report["rows"].append(row)
        failures += not row["holds"]
        print(f"{case:30} {name:5} {d:4} {row['ours']:9.2e} {row['pytorch']:9.2e} {row['eager']:9.2e} {row['share']:6.2f}"
              f"  {row['variant']}{'' if row['holds'] else '  BROKEN'}", flush=True)
    path = options.out / f"{report['device'].lower().replace(' ', '-')}-attention-accuracy.json"
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {path}\n{len(report['rows'])} rows, {failures} failures")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
