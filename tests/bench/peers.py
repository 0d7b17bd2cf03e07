#!/usr/bin/env python3
"""Times Tunesmith's kernels beside their peers in one process on one GPU, and prints ratios and the distance to the limit.

Ours are found in a database through runtime/python/tunesmith.py and launched on PyTorch's tensors and stream; peers are
PyTorch (cuBLAS, FlashAttention 2, cuDNN) and, where they are installed, mamba_ssm and causal_conv1d. Both sides are
captured in CUDA graphs of several launches over rotated inputs, random data, and checked first, against a reference or each other.
The limit of a row is the largest of its bytes over the memory bandwidth, its FLOPs over the rate of a large matrix product, both
measured in the same run, and its special functions over what the SMs issue (16 a clock each); `limit` says which. Writes tests/bench/results/<device>.json and a table.
Usage: peers.py --db FILE [--only FAMILY]... [--out DIR]
"""
import argparse
import datetime
import importlib
import json
import pathlib
import subprocess
import sys

import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "runtime/python"))
import tunesmith  # noqa: E402


def installed(module, name):
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        return None


selective_scan_fn = installed("mamba_ssm.ops.selective_scan_interface", "selective_scan_fn")
selective_state_update = installed("mamba_ssm.ops.triton.selective_state_update", "selective_state_update")
causal_conv1d_fn = installed("causal_conv1d", "causal_conv1d_fn")

BF16 = torch.bfloat16


def rand(*shape, dtype=BF16, scale=1.0):
    return (torch.randn(*shape, device="cuda", dtype=torch.float32) * scale).to(dtype)


def graph_us(calls, repeats=30):
    """Median microseconds of one call: the list of calls (over rotated inputs) captured once, the graph replayed."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for call in calls:
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    launches = max(1, 16 // len(calls)) * len(calls)
    with torch.cuda.graph(graph, stream=stream):
        for i in range(launches):
            calls[i % len(calls)]()
    times = []
    for _ in range(repeats + 5):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / launches)
    times = sorted(times[5:])
    return times[len(times) // 2]


def least_us(call, repeats=20):
    """Least microseconds of one call by itself: a limit is what the card can do, not what it does on average."""
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3)
    return min(times)


def limits():
    """Of this card, now: copy (read plus written) and read bandwidth in bytes/us, bf16 matrix rate in FLOP/us."""
    a = torch.randn(1 << 27, device="cuda")  # 512 MiB, ten times the L2, as the tuner's own copy limit
    c = torch.empty_like(a)
    copy = 2 * a.nbytes / least_us(lambda: c.copy_(a))
    read = a.nbytes / least_us(lambda: a.sum())
    x, y = rand(8192, 8192), rand(8192, 8192)
    specials = 16 * torch.cuda.get_device_properties(0).multi_processor_count * int(ask_driver("clocks.max.sm").split()[0])
    return copy, read, 2 * 8192**3 / graph_us([lambda: x @ y], 5), specials


def ask_driver(what):
    return subprocess.run(["nvidia-smi", "--query-gpu=" + what, "--format=csv,noheader", "--id=0"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def stored_defaults(db):
    """Microseconds of the default variant, by problem, as the tuner raced it against the winner."""
    lines = subprocess.run([ROOT / "build/tune", "ls", "--json", "--db", db], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {row["problem"]: row for row in map(json.loads, lines.splitlines()) if row.get("speedup")}


class Row:
    """One comparison: our problem with its arguments, peers as callables, FLOPs and bytes of the operation."""

    def __init__(self, family, problem, sets, peers, flops, nbytes, tolerance):
        self.family, self.problem, self.sets, self.peers = family, problem, sets, peers
        self.flops, self.bytes, self.tolerance = flops, nbytes, tolerance
        self.same = True  # the peers compute the same, so their errors are worth a look


def copies(nbytes):
    """How many input sets it takes to leave the 50 to 60 MB of L2 behind; one when a set is larger."""
    return max(1, min(8, int(2.5e8 / max(nbytes, 1))))


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


def sdpa(b, hq, hkv, lq, lk, d, causal):
    nbytes = 2 * d * (2 * b * lq * hq + 2 * b * lk * hkv)
    sets = []
    for _ in range(copies(nbytes) if lq * lk < 1 << 22 else 1):
        q, k, v = rand(b, lq, hq, d), rand(b, lk, hkv, d), rand(b, lk, hkv, d)
        out = torch.empty_like(q)
        args = dict(q=q.view(b * lq, -1), k=k.view(b * lk, -1), v=v.view(b * lk, -1), out=out.view(b * lq, -1), cu_q=None, cu_k=None,
                    b=b, lq=lq, lk=lk, hq=hq, hkv=hkv, scale=d**-0.5)
        sets.append((args, tuple(t.transpose(1, 2).contiguous() for t in (q, k, v)), "out"))

    def peer(backend):
        def call(q, k, v):
            with torch.nn.attention.sdpa_kernel(backend):
                return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=hq != hkv).transpose(1, 2)
        return call
    backend = torch.nn.attention.SDPBackend
    return Row("sdpa", f"sdpa b={b} lq={lq} lk={lk} hq={hq} hkv={hkv} head_dim={d} dtype=bf16 causal={int(causal)} varlen=0", sets,
               {"fa2": peer(backend.FLASH_ATTENTION), "cudnn": peer(backend.CUDNN_ATTENTION)},
               4 * b * hq * lq * lk * d * (0.5 if causal else 1), nbytes, 1.5e-2)


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
    (sdpa, (1, 16, 16, 1024, 1024, 80, False)), (sdpa, (1, 16, 16, 4096, 4096, 80, False)), (sdpa, (1, 12, 2, 2048, 2048, 128, True)),
    (norm, (512, 768)), (norm, (2048, 2560)),
    *((scan, shape) for shape in SCANS), *((conv, shape) for shape in SCANS),
    *((step, (b, d, taps)) for taps in (0, 4) for b, d in ((1, 1536), (1, 5120), (8, 5120), (64, 5120), (256, 5120))),
]


def relative_error(got, want):
    return ((got.double() - want.double()).norm() / want.double().norm()).item()


def measure(row, kernels, bandwidth, rate, specials, defaults):
    kernel = kernels.find(row.problem)
    scalars = {name: value for name, value in row.sets[0][0].items() if isinstance(value, (int, float))}
    workspace = torch.empty(kernel.workspace_bytes(**scalars) + 256, device="cuda", dtype=torch.uint8)
    prepared = [kernel.prepare(workspace=workspace.data_ptr(), **args) for args, _, _ in row.sets]
    ours = [lambda c=call: c.launch(torch.cuda.current_stream()) for call in prepared]
    ours[0]()
    torch.cuda.synchronize()
    args, inputs, out = row.sets[0]
    reference = getattr(row, "reference", None) or next(iter(row.peers.values()), None)
    error = None
    if reference:
        want = reference(*inputs).reshape(args[out].shape)
        error = relative_error(args[out], want)
        if not error <= row.tolerance:
            raise SystemExit(f"{row.problem}: differs from the reference by {error:.2e} (allowed {row.tolerance})")
    bounds = dict(memory=row.bytes / bandwidth, products=row.flops / rate)
    if hasattr(row, "specials"):
        bounds["special functions"] = row.specials / specials
    binds = max(bounds, key=bounds.get)
    limit = bounds[binds]
    result = dict(family=row.family, problem=row.problem, variant=kernel.variant, error=error, us=round(graph_us(ours), 2),
                  limit_us=round(limit, 2), limit=binds)
    result["share_of_limit"] = round(limit / result["us"], 3)
    tuned = defaults.get(row.problem)
    result["speedup_over_default"] = round(tuned["speedup"], 2) if tuned else None  # None: the nearest bucket served
    for name, peer in row.peers.items():
        try:
            if hasattr(row, "reference") and row.same:
                result[name + "_error"] = relative_error(peer(*inputs).reshape(want.shape), want)
            result[name + "_us"] = round(graph_us([lambda i=inputs: peer(*i) for _, inputs, _ in row.sets]), 2)
        except RuntimeError as failure:
            result[name + "_us"] = None
            print(f"{row.problem}: {name} cannot run here: {failure}", file=sys.stderr)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/bench/results")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    copy, read, rate, specials = limits()
    report = dict(device=torch.cuda.get_device_name(), driver=ask_driver("driver_version"), date=datetime.date.today().isoformat(),
                  torch=torch.__version__, cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(),
                  copy_tb_per_s=round(copy / 1e6, 3), read_tb_per_s=round(read / 1e6, 3),
                  matmul_tflop_per_s=round(rate / 1e6, 1), rows=[])
    print(f"{report['device']}: copy {report['copy_tb_per_s']} TB/s, read {report['read_tb_per_s']} TB/s, "
          f"bf16 matrix product {report['matmul_tflop_per_s']} TFLOP/s")
    defaults = stored_defaults(options.db)
    print(f"{'problem':72} {'ours us':>9} {'limit':>7} {'share':>6}  peers (us, ratio to ours)")
    kernels = tunesmith.Kernels(tunesmith.Device("cuda"), options.db)
    for make, shape in SUITE:
        if options.only and make.__name__ not in options.only:
            continue
        result = measure(make(*shape), kernels, max(copy, read), rate, specials, defaults)
        report["rows"].append(result)
        peers = "  ".join(f"{key[:-3]} {value} ({value / result['us']:.2f}x)" for key, value in result.items()
                          if key.endswith("_us") and key != "limit_us" and value)
        gain = result["speedup_over_default"]
        peers += f"  default ({gain:.2f}x)" if gain else ""
        print(f"{result['problem'][:72]:72} {result['us']:9.2f} {result['limit_us']:7.2f} {result['share_of_limit']:6.1%}  {peers}", flush=True)
    if not options.only:
        name = report["device"].lower().replace(" ", "-")
        path = options.out / f"{name}.json"
        options.out.mkdir(exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
        print(f"written: {path}")


if __name__ == "__main__":
    main()
