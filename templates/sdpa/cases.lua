-- Tails around tiles of 16, 32, 64 and 128; lq < lk and lq > lk (causal: then the first rows see nothing);
-- groups of 1, 2 and 6 heads; rows without 16-byte alignment.
return {
  verify = {
    { b = 1, lq = 1, lk = 1, hq = 1, hkv = 1 },
    { b = 1, lq = 17, lk = 31, hq = 2, hkv = 1, pad = 1, note = "no row is aligned" },
    { b = 2, lq = 67, lk = 67, hq = 2, hkv = 2 },
    { b = 1, lq = 5, lk = 131, hq = 6, hkv = 1, pad = 8, note = "aligned rows, pitch wider than the row" },
    { b = 1, lq = 130, lk = 3, hq = 2, hkv = 2, note = "causal: rows that see no key" },
    { b = 6, lq = 33, lk = 47, hq = 12, hkv = 2, pad = 3,
      note = "groups of six; varlen: enough sequences that some have both queries and keys" },
    { b = 1, lq = 150, lk = 257, hq = 1, hkv = 1, note = "several tiles both ways" },
    { b = 2, lq = 64, lk = 64, hq = 2, hkv = 1, init = { q = { "normal", 0, 8 } }, note = "one key takes it all" },
    { b = 1, lq = 20, lk = 70, hq = 1, hkv = 1, init = { q = { "uniform", 4, 8 }, k = { "uniform", -8, -4 } },
      note = "every score far below 0: a finite stand-in for -inf would win" },
    { b = 1, lq = 20, lk = 70, hq = 1, hkv = 1, init = { q = { "uniform", 3, 6 }, k = { "uniform", 3, 6 } },
      note = "every score far above 0: without the true maximum the exponential overflows" },
    { b = 1, lq = 150, lk = 400, hq = 2, hkv = 1, init = { q = { "normal", 0, 0.003 }, k = { "offsets", 1 } },
      note = "scores grow from key to key in some rows, fall in others" },
    { b = 1, lq = 20, lk = 300, hq = 1, hkv = 1, init = { q = { "uniform", 4, 8 }, k = { "offsets", 1 } },
      note = "scores grow from key to key by more than fp32's exponential reaches: the last one takes it all" },
    -- One tensor's rows alone are not aligned; one element more, and they would be.
    { b = 3, lq = 9, lk = 19, hq = 2, hkv = 1, pad = { q = 7 } },
    { b = 3, lq = 9, lk = 19, hq = 2, hkv = 1, pad = { k = 7 } },
    { b = 3, lq = 9, lk = 19, hq = 2, hkv = 1, pad = { v = 7 } },
    { b = 3, lq = 9, lk = 19, hq = 2, hkv = 1, pad = { out = 7 } },
    { b = 2, lq = 9, lk = 0, hq = 2, hkv = 1, note = "no keys: zeros" },
    { b = 2, lq = 0, lk = 8, hq = 2, hkv = 1, note = "nothing to do" },
    { b = 9, lq = 40, lk = 40, hq = 2, hkv = 1, note = "varlen: short and empty sequences" },
    { b = 3, lq = 200, lk = 230, hq = 54, hkv = 9, note = "more tiles than a GPU has SMs: blocks that stay take several" },
    { b = 70, lq = 300, lk = 20, hq = 2, hkv = 1, init = { q = { "uniform", 0, 0 } },
      note = "the same; causal: between tiles of which no row sees a key" },
  },
  smoke = {
    "sdpa b=2 lq=19 lk=35 hq=4 hkv=2 head_dim=32 dtype=fp32 causal=1",
    "sdpa b=2 lq=19 lk=35 hq=4 hkv=2 head_dim=64 dtype=bf16 causal=1",
    "sdpa b=2 lq=19 lk=35 hq=4 hkv=2 head_dim=80 dtype=fp16 causal=0 varlen=1",
    "sdpa b=2 lq=19 lk=35 hq=4 hkv=2 head_dim=128 dtype=bf16 causal=0",
    "sdpa b=2 lq=19 lk=35 hq=4 hkv=2 head_dim=32 dtype=fp16 causal=0",
    "sdpa b=2 lq=19 lk=35 hq=4 hkv=2 head_dim=80 dtype=fp32 causal=0 varlen=1",
  },
  model = {
    -- Qwen2-VL vision: 16 heads of 80, one image of 256, 1024 or 4096 patches. Larger ones take long on a CPU.
    "sdpa b=1 lq=256 lk=256 hq=16 hkv=16 head_dim=80 dtype=bf16 causal=0",
    "sdpa b=1 lq=1024 lk=1024 hq=16 hkv=16 head_dim=80 dtype=bf16 causal=0",
    "sdpa b=1 lq=4096 lk=4096 hq=16 hkv=16 head_dim=80 dtype=bf16 causal=0",
    "sdpa b=1 lq=1024 lk=1024 hq=16 hkv=16 head_dim=80 dtype=bf16 causal=0 varlen=1",
    "sdpa b=1 lq=4096 lk=4096 hq=16 hkv=16 head_dim=80 dtype=bf16 causal=0 varlen=1",
    -- Qwen2-VL 2B text: 12 query heads on 2 key heads of 128
    "sdpa b=1 lq=512 lk=512 hq=12 hkv=2 head_dim=128 dtype=bf16 causal=1",
    "sdpa b=1 lq=2048 lk=2048 hq=12 hkv=2 head_dim=128 dtype=bf16 causal=1",
  },
}
