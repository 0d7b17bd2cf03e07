#!/usr/bin/env python3
"""Times Tunesmith's kernels beside their peers in one process on one GPU, and prints ratios and the distance to the limit.

Ours are found in a database through runtime/python/tunesmith.py and launched on PyTorch's tensors and stream; peers are
PyTorch (cuBLAS, FlashAttention 2, cuDNN) and, where they are installed, FlashAttention 3, mamba_ssm and causal_conv1d. Both sides are
captured in CUDA graphs of several launches over rotated inputs, random data, and checked first, against a reference or each other;
ours and the peers take turns. The limit of a row is the largest of its bytes over the memory bandwidth, its FLOPs over the rate of a
large matrix product, both measured in the same run, and its special functions over what the SMs issue (16 a clock each); `limit` says
which. Writes tests/bench/results/<device>.json (not with --only) and a table. Exit 1 if a row of ours failed, which is then left out.
The rows of attention are in peers_attention.py, how a row is measured in peers_measure.py.
Usage: peers.py --db FILE [--only ROW]... [--out DIR]      ROW: gemm, sdpa, varlen, decode, norm, scan, conv, step
       peers.py --problems     what the database should have been tuned for besides the families' model shapes, a line each
"""
import argparse
import datetime
import json
import pathlib
import sys

import torch
import torch.nn.functional as F

from peers_attention import ATTENTION, problems
from peers_measure import BF16, ROOT, Limits, Row, ask_driver, copies, installed, measure, rand, stored_defaults, tunesmith
from peers_measure import relative_error  # noqa: F401 (scan_accuracy.py's)

selective_scan_fn = installed("mamba_ssm.ops.selective_scan_interface", "selective_scan_fn")
selective_state_update = installed("mamba_ssm.ops.triton.selective_state_update", "selective_state_update")
causal_conv1d_fn = installed("causal_conv1d", "causal_conv1d_fn")


def gemm(m, n, k):
    family = "gemv" if m == 1 else "gemm"
    sets = []
    for _ in range(copies(n * k * 2)):
        x, w, out = rand(m, k), rand(n, k, scale=0.05), torch.empty(m, n, device="cuda", dtype=BF16)
        args = dict(x=x[0] if m == 1 else x, w=w, out=out[0] if m == 1 else out, bias=None, residual=None, n=n, k=k)
        if m > 1:
            args.update(m=m)
        sets.append((args, (x, w), "out"))
    extents = f"n={n} k={k}" if m == 1 else f"m={m} n={n} k={k}"
    return Row(family, f"{family} {extents} dtype=bf16 out=bf16 act=none", sets,
               {"cublas": lambda x, w: F.linear(x, w)}, 2 * m * n * k, 2 * (m * k + n * k + m * n), 1e-2)


def norm(m, d):
    sets = []
    for _ in range(copies(6 * m * d)):
        x, weight, out = rand(m, d, dtype=torch.float32), rand(d, dtype=torch.float32), torch.empty(m, d, device="cuda", dtype=BF16)
        sets.append((dict(x=x, delta=None, weight=weight, bias=None, out=out, m=m, d=d, eps=1e-5), (x, weight), "out"))
    return Row("norm", f"norm m={m} d={d} kind=rms dtype=bf16 add=0", sets,
               {"torch": lambda x, w: F.rms_norm(x, (d,), w, 1e-5)}, 4 * m * d, 6 * m * d, 1e-2)


def scan_reference(u, delta, A, B, C, D, z, bias, *_):
    """The recurrence step by step in float64, for the check only; the state after the last step beside it."""
    u, delta, z, B, C, A, D = (t.double() for t in (u, delta, z, B, C, A, D))
    dt = F.softplus(delta + bias.double())
    h, y = torch.zeros(u.shape[0], *A.shape, device="cuda", dtype=torch.float64), torch.empty_like(u)
    for t in range(u.shape[1]):
        h = torch.exp(dt[:, t, :, None] * A) * h + (dt[:, t] * u[:, t])[:, :, None] * B[:, t, None, :]
        y[:, t] = (h * C[:, t, None, :]).sum(-1)
    return (y + D * u) * F.silu(z), h


def scan_inputs(b, d, l, n, dtype=BF16, steps=(-6, -2)):
    """u, delta, A, B, C, D, z, bias with channels innermost; delta within `steps`, before softplus."""
    delta = (torch.rand(b, l, d, device="cuda") * (steps[1] - steps[0]) + steps[0]).to(dtype)
    A, D, bias = -torch.rand(d, n, device="cuda") * 15 - 0.5, rand(d, dtype=torch.float32), rand(d, dtype=torch.float32, scale=0.1)
    return rand(b, l, d, dtype=dtype), delta, A, rand(b, l, n, dtype=dtype), rand(b, l, n, dtype=dtype), D, rand(b, l, d, dtype=dtype), bias


def scan_args(u, delta, A, B, C, D, z, bias, h_last=None):
    """Those as our kernel's arguments, with an `out`."""
    (b, l, d), rows = u.shape, lambda t: t.view(-1, t.shape[-1])
    return dict(u=rows(u), delta=rows(delta), z=rows(z), B=rows(B), C=rows(C), A=A, D=D, dt_bias=bias, h0=None, cu_l=None, h_last=h_last,
                out=rows(torch.empty_like(u)), b=b, l=l, d=d)


def time_innermost(u, delta, A, B, C, D, z, bias):
    """Those as mamba_ssm takes them: [b, d, l], and B, C [b, 1, n, l]."""
    turned = [t.transpose(1, 2).contiguous() for t in (u, delta, B, C, z)]
    return turned[0], turned[1], A, turned[2][:, None], turned[3][:, None], D, turned[4], bias


def scan(b, d, l, n=16):
    sets = []
    for _ in range(copies(8 * b * d * l)):
        inputs = scan_inputs(b, d, l, n)
        sets.append((scan_args(*inputs), inputs + time_innermost(*inputs), "out"))
    peers = {}
    if selective_scan_fn:
        peers["mamba_ssm"] = lambda *inputs: selective_scan_fn(*inputs[8:], True).transpose(1, 2)
    row = Row("selective_scan", f"selective_scan b={b} l={l} d={d} n={n} g=1 dtype=bf16 gate=1 softplus=1 varlen=0 layout=channel_last",
              sets, peers, b * d * l * (7 * n + 30), 8 * b * d * l, 2e-2)
    row.reference = lambda *inputs: scan_reference(*inputs)[0]
    row.specials = b * d * l * (n + 4)  # exponentials, two of softplus, two of the gate
    return row


def step(b, d, conv, n=16):
    """One step; with conv > 0 ours does the convolution before it too, which the peer's step has behind it."""
    sets = []
    for _ in range(copies(4 * b * d * n * 2)):
        u, delta, A, B, C, D, z, bias = (t[:, 0] if t.dim() == 3 else t for t in scan_inputs(b, d, 1, n))
        h, args = rand(b, d, n, dtype=torch.float32), dict(u=u, delta=delta, z=z, B=B, C=C, A=A, D=D, dt_bias=bias, out=torch.empty_like(u), b=b, d=d)
        weight, kept = rand(d, conv, dtype=torch.float32, scale=0.5), rand(b, max(conv - 1, 0), d)
        args.update(h=h.clone(), conv_bias=None, conv_weight=weight if conv else None, conv_state=kept.clone() if conv else None)
        sets.append((args, (u, delta, A, B, C, D, z, bias, h, weight, kept), "out"))

    def reference(u, delta, A, B, C, D, z, bias, h, weight, kept):
        u, delta, B, C, z = (t.double() for t in (u, delta, B, C, z))
        if conv:
            u = F.silu((torch.cat((kept.double(), u[:, None]), 1) * weight.double().t()).sum(1))
        dt = F.softplus(delta + bias)
        h = torch.exp(dt[..., None] * A) * h + (dt * u)[..., None] * B[:, None]
        return ((h * C[:, None]).sum(-1) + D * u) * F.silu(z)
    peers = {}
    if selective_state_update:
        peers["mamba_ssm"] = lambda u, delta, A, B, C, D, z, bias, h, *_: selective_state_update(
            h, u, delta, A, B, C, D, z=z, dt_bias=bias, dt_softplus=True)
    row = Row("selective_scan_step", f"selective_scan_step b={b} d={d} n={n} g=1 dtype=bf16 gate=1 softplus=1 conv={conv}", sets, peers,
              b * d * (7 * n + 30), 4 * b * d * n * 2 + 4 * d * n + (8 + 4 * max(conv - 1, 0)) * b * d, 2e-2)
    row.reference, row.same = reference, conv == 0
    return row


def conv(b, d, l):
    sets = []
    for _ in range(copies(4 * b * d * l)):
        x, w, out = rand(b, l, d), rand(d, 4, dtype=torch.float32), torch.empty(b, l, d, device="cuda", dtype=BF16)
        args = dict(x=x.view(b * l, d), weight=w, bias=None, state_in=None, state_out=None, out=out.view(b * l, d), b=b, l=l, d=d)
        sets.append((args, (x, w.to(BF16)), "out"))
    peers = {"torch": lambda x, w: F.silu(F.conv1d(x.transpose(1, 2), w[:, None], padding=3, groups=d)[..., :l]).transpose(1, 2)}
    if causal_conv1d_fn:
        peers["causal_conv1d"] = lambda x, w: causal_conv1d_fn(x.transpose(1, 2), w, activation="silu").transpose(1, 2)
    return Row("causal_conv1d", f"causal_conv1d b={b} l={l} d={d} width=4 dtype=bf16 act=silu", sets, peers,
               10 * b * d * l, 4 * b * d * l, 2e-2)


# Sequences, channels, steps: sizes of Mamba 130m and 2.8b, alone and in batches, and between them.
SCANS = [(1, 1536, 512), (1, 1536, 2048), (1, 1536, 16384), (1, 1536, 65536), (8, 1536, 2048), (1, 5120, 2048), (8, 5120, 2048),
         (1, 5120, 16384), (64, 5120, 512), (16, 2048, 4096)]
SUITE = [
    (gemm, (512, 3072, 768)), (gemm, (512, 80, 1536)), (gemm, (512, 1536, 48)), (gemm, (512, 768, 1536)),
    (gemm, (1338, 3840, 1280)), (gemm, (1338, 17920, 1536)),
    (gemm, (1, 3072, 768)), (gemm, (1, 80, 1536)), (gemm, (1, 1536, 48)), (gemm, (1, 768, 1536)), (gemm, (1, 50280, 768)),
    (gemm, (1, 10240, 2560)),
    *ATTENTION,
    (norm, (512, 768)), (norm, (2048, 2560)),
    *((scan, shape) for shape in SCANS), *((conv, shape) for shape in SCANS),
    *((step, (b, d, taps)) for taps in (0, 4) for b, d in ((1, 1536), (1, 5120), (8, 5120), (64, 5120), (256, 5120))),
]


def line(result):
    """A row of the table."""
    rate = next((f"{result[key]:.{digits}f} {unit}" for key, digits, unit in (("tflop_per_s", 1, "TFLOP/s"), ("tb_per_s", 2, "TB/s"))
                 if key in result), "")
    cells = [f"{key[:-3]} {value} ({value / result['us']:.2f}x)" for key, value in result.items()
             if key.endswith("_us") and key not in ("limit_us", "alone_us") and value]
    if "alone_us" in result:
        cells.append(f"alone {' + '.join(map(str, result['alone_us']))} (we take {result['over_alone']:.3f} of that)")
    if result["speedup_over_default"]:
        cells.append(f"default ({result['speedup_over_default']:.2f}x)")
    return (f"{result['problem']:84} {result['us']:9.2f} {result['limit_us']:7.2f} {result['share_of_limit']:6.1%} {rate:>12}  "
            + "  ".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--db")
    mode.add_argument("--problems", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/bench/results")
    options = parser.parse_args()
    if options.problems:
        print(*problems(), sep="\n")
        return
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    limits = Limits()
    report = dict(device=torch.cuda.get_device_name(), driver=ask_driver("driver_version"), date=datetime.date.today().isoformat(),
                  torch=torch.__version__, cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(),
                  copy_tb_per_s=round(limits.copy / 1e6, 3), read_tb_per_s=round(limits.read / 1e6, 3),
                  matmul_tflop_per_s=round(limits.products / 1e6, 1), rows=[])
    print(f"{report['device']}: copy {report['copy_tb_per_s']} TB/s, read {report['read_tb_per_s']} TB/s, "
          f"bf16 matrix product {report['matmul_tflop_per_s']} TFLOP/s")
    defaults = stored_defaults(options.db)
    print(f"{'problem':84} {'ours us':>9} {'limit':>7} {'share':>6} {'rate':>12}  peers (us, ratio to ours)")
    kernels, failed = tunesmith.Kernels(tunesmith.Device("cuda"), options.db), False
    for make, shape in SUITE:
        if options.only and make.__name__ not in options.only:
            continue
        row = make(*shape)
        try:
            result = measure(row, kernels, limits, defaults)
        except (RuntimeError, tunesmith.TunesmithError) as failure:
            print(f"{row.problem}: {failure}", file=sys.stderr, flush=True)
            failed = True
            continue
        report["rows"].append(result)
        print(line(result), flush=True)
    if not options.only:
        name = report["device"].lower().replace(" ", "-")
        path = options.out / f"{name}.json"
        options.out.mkdir(exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
        print(f"written: {path}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
