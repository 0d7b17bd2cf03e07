"""What a comparison of peers.py is and how it is measured: rows, CUDA graphs of launches that take turns, the limits of the card."""
import importlib
import json
import pathlib
import subprocess
import sys

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "runtime/python"))
import tunesmith  # noqa: E402, F401 (scripts find it through here)

BF16 = torch.bfloat16
GRAPH_US = 2e4  # a graph is at most about this long, unless one launch is longer
TIMED_US = 1e5  # and so are all timed replays of the slowest graph together, but for a least number of them


def installed(module, name):
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def rand(*shape, dtype=BF16, scale=1.0):
    return (torch.randn(*shape, device="cuda", dtype=torch.float32) * scale).to(dtype)


def copies(nbytes, most=8):
    """How many input sets it takes to leave the 50 to 60 MB of L2 behind; one when a set is larger."""
    return max(1, min(most, int(2.5e8 / max(nbytes, 1))))


class Row:
    """One comparison: our problem with its arguments, peers as callables, FLOPs and bytes of the operation."""

    def __init__(self, family, problem, sets, peers, flops, nbytes, tolerance):
        self.family, self.problem, self.sets, self.peers = family, problem, sets, peers
        self.flops, self.bytes, self.tolerance = flops, nbytes, tolerance
        self.reference = None  # of the inputs; None: the first peer's result
        self.picked = lambda out: out  # what of a result the reference gives
        self.same = True  # the peers compute the same, so their errors are worth a look
        self.specials = 0  # special functions
        self.rate = None  # "tflop_per_s" or "tb_per_s", whichever tells more
        self.alone = []  # rows whose times are added up and compared with this one's


# ---- time ----


def captured(calls):
    """A CUDA graph of launches over all of `calls`, which have rotated inputs, and how many launches it has."""
    stream, begin, end = torch.cuda.Stream(), torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for call in calls:
            call()
        begin.record()
        calls[0]()
        end.record()
    torch.cuda.synchronize()
    all_us = begin.elapsed_time(end) * 1e3 * len(calls)
    launches = max(1, min(16 // len(calls), int(GRAPH_US / all_us))) * len(calls)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for i in range(launches):
            calls[i % len(calls)]()
    return graph, launches


def in_turns(graphs):
    """Median microseconds of a launch of each graph. They take turns, so that clocks which sink with the power sink for all; the
    first replay of a turn only brings the caches to what they are when a kernel is launched over and over."""
    def turn(graph, launches):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        graph.replay()
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e3 / launches
    for _ in range(3):
        slowest = max(turn(*graph) * graph[1] for graph in graphs.values())
    times = {name: [] for name in graphs}
    for _ in range(max(5, min(30, int(TIMED_US / slowest)))):
        for name, graph in graphs.items():
            times[name].append(turn(*graph))
    return {name: sorted(us)[len(us) // 2] for name, us in times.items()}


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


# ---- the card ----


def ask_driver(what):
    return subprocess.run(["nvidia-smi", "--query-gpu=" + what, "--format=csv,noheader", "--id=0"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Limits:
    """Of this card, now: copy (read plus written) and read bandwidth in bytes/us, bf16 matrix rate in FLOP/us, special functions/us."""

    def __init__(self):
        a = torch.randn(1 << 27, device="cuda")  # 512 MiB, ten times the L2, as the tuner's own copy limit
        c = torch.empty_like(a)
        self.copy = 2 * a.nbytes / least_us(lambda: c.copy_(a))
        self.read = a.nbytes / least_us(lambda: a.sum())
        x, y = rand(8192, 8192), rand(8192, 8192)
        self.products = 2 * 8192**3 / in_turns({"product": captured([lambda: x @ y])})["product"]
        self.specials = 16 * torch.cuda.get_device_properties(0).multi_processor_count * int(ask_driver("clocks.max.sm").split()[0])

    def binding(self, row):
        """The name of what limits a row, and the microseconds it takes at the least."""
        bounds = {"memory": row.bytes / max(self.copy, self.read), "products": row.flops / self.products,
                  "special functions": row.specials / self.specials}
        return max(bounds.items(), key=lambda bound: bound[1])


# ---- a row ----


def stored_defaults(db):
    """Microseconds of the default variant, by problem, as the tuner raced it against the winner."""
    lines = subprocess.run([ROOT / "build/tune", "ls", "--json", "--db", db], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {row["problem"]: row for row in map(json.loads, lines.splitlines()) if row.get("speedup")}


def relative_error(got, want):
    return ((got.double() - want.double()).norm() / want.double().norm()).item()


def ours(row, kernels):
    """Our kernel for a row's problem, and a call that launches it for each set of inputs."""
    kernel = kernels.find(row.problem)
    scalars = {name: value for name, value in row.sets[0][0].items() if isinstance(value, (int, float))}
    workspace = torch.empty(kernel.workspace_bytes(**scalars) + 256, device="cuda", dtype=torch.uint8)
    calls = [kernel.prepare(workspace=workspace.data_ptr(), **args) for args, _, _ in row.sets]
    return kernel, [lambda call=call, kept=workspace: call.launch(torch.cuda.current_stream()) for call in calls]


def measure(row, kernels, limits, defaults):
    kernel, calls = ours(row, kernels)
    calls[0]()
    torch.cuda.synchronize()
    args, inputs, out = row.sets[0]
    reference = row.reference or next(iter(row.peers.values()), None)
    want, error = reference(*inputs) if reference else None, None

    def checked(got):
        off = relative_error(row.picked(got).reshape(want.shape), want)
        if not off <= row.tolerance:
            raise RuntimeError(f"differs from the reference by {off:.2e} (allowed {row.tolerance})")
        return off
    if reference:
        error = checked(args[out])
    graphs, found = {"ours": captured(calls)}, {}
    for name, peer in row.peers.items():
        try:
            if row.reference and row.same:
                found[name + "_error"] = checked(peer(*inputs))
            graphs[name + "_us"] = captured([lambda i=inputs, p=peer: p(*i) for _, inputs, _ in row.sets])
        except Exception as failure:  # whatever a peer raises: ours and the other peers are still worth a row
            print(f"{row.problem}: {name} cannot run here: {failure}", file=sys.stderr)
        found[name + "_us"] = None
    for i, part in enumerate(row.alone):
        graphs[i] = captured(ours(part, kernels)[1])
    times = in_turns(graphs)
    us = times.pop("ours")
    binds, limit_us = limits.binding(row)
    tuned = defaults.get(row.problem)  # None: the nearest bucket served
    result = dict(family=row.family, problem=row.problem, variant=kernel.variant, error=error, us=round(us, 2),
                  limit_us=round(limit_us, 2), limit=binds, share_of_limit=round(limit_us / us, 3),
                  speedup_over_default=round(tuned["speedup"], 2) if tuned else None)
    if row.rate:
        result[row.rate] = round((row.flops if row.rate == "tflop_per_s" else row.bytes) / us / 1e6, 3)
    if row.alone:
        alone = [times[i] for i in range(len(row.alone))]
        result.update(alone_us=[round(t, 2) for t in alone], over_alone=round(us / sum(alone), 3))
    result.update({name: round(times[name], 2) if name in times else value for name, value in found.items()})
    return result
