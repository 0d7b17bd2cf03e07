"""Attention beside its peers: Qwen2-VL's vision (full, alone and packed) and text (causal), and decoding; rows of peers.py.

Peers are PyTorch's FlashAttention 2 and cuDNN, which get their heads outermost, and FlashAttention 3 where flash_attn_interface is
installed. All are checked against float64 at the timed shape: some rows of the first and of the last sequence, all rows of a decoding
step. Causal FLOPs count half of the square. Long prompts have one set of inputs: a model's are warm too, the launch before has
written them. Decoding reads a cache that is not in the L2.
"""
import itertools

import torch
import torch.nn.functional as F

from peers_measure import BF16, Row, copies, installed, rand

flash_attn_func = installed("flash_attn_interface", "flash_attn_func")
flash_attn_varlen_func = installed("flash_attn_interface", "flash_attn_varlen_func")
flash_attn_with_kvcache = installed("flash_attn_interface", "flash_attn_with_kvcache")
get_scheduler_metadata = installed("flash_attn_interface", "get_scheduler_metadata")
varlen_attn = installed("torch.nn.attention.varlen", "varlen_attn")  # FlashAttention 2, PyTorch 2.10

TOLERANCE = 1.5e-2  # of bf16, as a norm


def attention(q, k, v, causal, rows=None):
    """Those rows (default: all) of one sequence in float64: q [lq, hq, d], k, v [lk, hkv, d]; a row that sees no key gives 0."""
    (lq, hq, d), (lk, hkv, _) = q.shape, k.shape
    rows = torch.arange(lq, device=q.device) if rows is None else rows
    if lk == 0:
        return torch.zeros(len(rows), hq, d, device=q.device, dtype=torch.float64)
    grouped = q[rows].double().reshape(len(rows), hkv, hq // hkv, d)
    scores = torch.einsum("rhgd,jhd->rhgj", grouped, k.double()) * d**-0.5
    if causal:
        hidden = torch.arange(lk, device=q.device) > (rows + (lk - lq))[:, None]
        scores.masked_fill_(hidden[:, None, None], float("-inf"))
        blind = hidden.all(1)[:, None, None, None]
        weights = scores.masked_fill(blind, 0).softmax(-1).masked_fill(blind, 0)
    else:
        weights = scores.softmax(-1)
    return torch.einsum("rhgj,jhd->rhgd", weights, v.double()).reshape(len(rows), hq, d)


def some_rows(count, most=48):
    """The first, the last, and others at random."""
    inner = torch.randperm(max(count - 2, 0), device="cuda")[:most - 2] + 1
    return torch.cat((torch.tensor([0, count - 1][:count], device="cuda"), inner))


def unwritten(*shape):
    return torch.full(shape, float("nan"), device="cuda", dtype=BF16)


def output(result):
    """Some releases of FlashAttention 3 give the sums of the softmax too."""
    return result[0] if isinstance(result, tuple) else result


def pytorch(hq, hkv, causal):
    """PyTorch's peers; of the inputs they take the second three, [b, heads, rows, d]."""
    def peer(backend):
        def call(q, k, v, turned_q, turned_k, turned_v, *_):
            with torch.nn.attention.sdpa_kernel(backend):
                return F.scaled_dot_product_attention(turned_q, turned_k, turned_v, is_causal=causal, enable_gqa=hq != hkv).transpose(1, 2)
        return call
    backend = torch.nn.attention.SDPBackend
    return {"fa2": peer(backend.FLASH_ATTENTION), "cudnn": peer(backend.CUDNN_ATTENTION)}


def heads_outermost(*tensors):
    return tuple(t.transpose(1, 2).contiguous() for t in tensors)


def sdpa_problem(b, hq, hkv, lq, lk, d, causal, packed=False):
    return f"sdpa b={b} lq={lq} lk={lk} hq={hq} hkv={hkv} head_dim={d} dtype=bf16 causal={int(causal)} varlen={int(packed)}"


def sdpa(b, hq, hkv, lq, lk, d, causal):
    nbytes = 2 * d * (2 * b * lq * hq + 2 * b * lk * hkv)
    sets = []
    for _ in range(copies(nbytes) if lq * lk < 1 << 22 else 1):
        q, k, v = rand(b, lq, hq, d), rand(b, lk, hkv, d), rand(b, lk, hkv, d)
        args = dict(q=q.view(b * lq, -1), k=k.view(b * lk, -1), v=v.view(b * lk, -1), out=unwritten(b * lq, hq * d), cu_q=None, cu_k=None,
                    b=b, lq=lq, lk=lk, hq=hq, hkv=hkv, scale=d**-0.5)
        sets.append((args, (q, k, v, *heads_outermost(q, k, v)), "out"))
    peers = pytorch(hq, hkv, causal)
    if flash_attn_func:
        peers["fa3"] = lambda q, k, v, *_: output(flash_attn_func(q, k, v, causal=causal))
    row = Row("sdpa", sdpa_problem(b, hq, hkv, lq, lk, d, causal), sets, peers,
              4 * b * hq * lq * lk * d * (0.5 if causal else 1), nbytes, TOLERANCE)
    rows, sequences = some_rows(lq), sorted({0, b - 1})
    row.reference = lambda q, k, v, *_: torch.cat([attention(q[s], k[s], v[s], causal, rows) for s in sequences])
    row.picked = lambda out: torch.cat([out.reshape(b, lq, hq, d)[s, rows] for s in sequences])
    row.rate = "tflop_per_s"
    return row


def varlen_problem(lengths, hq, hkv, d):
    return sdpa_problem(len(lengths), hq, hkv, max(lengths), max(lengths), d, False, True)


def varlen(lengths, hq, hkv, d):
    """Sequences of those lengths in one launch, full attention; beside it, each of them alone."""
    b, total, longest = len(lengths), sum(lengths), max(lengths)
    begins = [0, *itertools.accumulate(lengths)]
    offsets = torch.tensor(begins, device="cuda", dtype=torch.int32)
    q, k, v = rand(total, hq, d), rand(total, hkv, d), rand(total, hkv, d)
    args = dict(q=q.view(total, -1), k=k.view(total, -1), v=v.view(total, -1), out=unwritten(total, hq * d), cu_q=offsets, cu_k=offsets,
                b=b, lq=longest, lk=longest, hq=hq, hkv=hkv, scale=d**-0.5)
    peers = {}
    if varlen_attn and hq == hkv:
        peers["fa2"] = lambda q, k, v: varlen_attn(q, k, v, offsets, offsets, longest, longest)
    if flash_attn_varlen_func:
        peers["fa3"] = lambda q, k, v: output(flash_attn_varlen_func(q, k, v, cu_seqlens_q=offsets, cu_seqlens_k=offsets,
                                                                    max_seqlen_q=longest, max_seqlen_k=longest, causal=False))
    row = Row("sdpa", varlen_problem(lengths, hq, hkv, d), [(args, (q, k, v), "out")], peers, 4 * hq * d * sum(n * n for n in lengths), 4 * d * total * (hq + hkv), TOLERANCE)
    parts = [slice(begin, end) for begin, end in zip(begins, begins[1:])]
    rows = [some_rows(n) for n in lengths]
    row.reference = lambda q, k, v: torch.cat([attention(q[p], k[p], v[p], False, r) for p, r in zip(parts, rows)])
    row.picked = lambda out: torch.cat([out.reshape(total, hq, d)[p][r] for p, r in zip(parts, rows)])
    row.rate = "tflop_per_s"
    row.alone = [sdpa(1, hq, hkv, n, n, d, False) for n in lengths]
    return row


def decode_problem(b, hq, hkv, lk, d):
    return f"sdpa_decode b={b} lk={lk} hkv={hkv} slots={b * lk} group={hq // hkv} head_dim={d} dtype=bf16"


def decode(b, hq, hkv, lk, d):
    """One query row a sequence against a full cache."""
    nbytes = 4 * b * d * (lk * hkv + hq)
    lengths = torch.full((b,), lk, device="cuda", dtype=torch.int32)
    begins = torch.arange(b, device="cuda", dtype=torch.int32) * lk
    counters = torch.zeros(b * hkv, device="cuda", dtype=torch.int32)
    sets = []
    for _ in range(copies(nbytes, most=256)):
        q, k, v = rand(b, 1, hq, d), rand(b, lk, hkv, d), rand(b, lk, hkv, d)
        args = dict(q=q.view(b, -1), k=k.view(b * lk, -1), v=v.view(b * lk, -1), k_begin=begins, k_len=lengths, out=unwritten(b, hq * d),
                    b=b, lk=lk, hkv=hkv, slots=b * lk, scale=d**-0.5, counters=counters)
        sets.append((args, (q, k, v, *heads_outermost(q, k, v)), "out"))
    peers, metadata = pytorch(hq, hkv, False), []

    def fa3(q, k, v, *_):
        if not metadata:  # once a step in an engine, for all layers: not timed
            metadata.append(get_scheduler_metadata(b, 1, lk, hq, hkv, d, lengths, qkv_dtype=BF16) if get_scheduler_metadata else None)
        return output(flash_attn_with_kvcache(q, k, v, cache_seqlens=lengths, scheduler_metadata=metadata[0]))
    if flash_attn_with_kvcache:
        peers["fa3"] = fa3
    row = Row("sdpa_decode", decode_problem(b, hq, hkv, lk, d), sets, peers, 4 * b * hq * lk * d, nbytes, TOLERANCE)
    row.reference = lambda q, k, v, *_: torch.cat([attention(q[s], k[s], v[s], False) for s in range(b)])
    row.rate = "tb_per_s"
    return row


VISION, TEXT = (16, 16), (12, 2)  # query heads and key heads of Qwen2-VL, of head_dim 80 and 128; text of 2B
ATTENTION = [
    *((sdpa, (1, *VISION, n, n, 80, False)) for n in (256, 1024, 4096, 16384)),
    *((sdpa, (1, *TEXT, n, n, 128, True)) for n in (512, 2048, 8192, 32768)),
    (sdpa, (8, *TEXT, 2048, 2048, 128, True)), (sdpa, (1, 28, 4, 8192, 8192, 128, True)), (sdpa, (2, 16, 16, 8192, 8192, 128, False)),
    (varlen, ((256, 1024, 4096, 5184), *VISION, 80)),
    *((decode, (b, *TEXT, n, 128)) for b, n in itertools.product((1, 8, 64), (1024, 8192, 32768)) if b * n <= 64 * 8192),
]


def problems():
    """What they need of a database; the families' own lists leave out what would take long on a CPU."""
    named = {sdpa: sdpa_problem, varlen: varlen_problem, decode: decode_problem}
    yield from (named[make](*shape) for make, shape in ATTENTION)
