-- Lengths from none to all of lk, ends inside a step, fewer keys than splits; rows without 16-byte alignment.
local any = { "index", "lk+1" }

return {
  verify = {
    { b = 1, lk = 1, hkv = 1, slots = 1 },
    { b = 1, lk = 37, hkv = 2, slots = 64, note = "fewer keys than a split's step" },
    { b = 7, lk = 131, hkv = 1, slots = 300, init = { k_len = any }, note = "every sequence its own length" },
    { b = 3, lk = 200, hkv = 2, slots = 200, pad = 1, init = { k_len = any }, note = "no row is aligned" },
    { b = 2, lk = 2060, hkv = 1, slots = 2100, pad = 8,
      note = "aligned rows with a pitch; every split has keys, and small heads have more splits than columns" },
    { b = 1, lk = 8192, hkv = 1, slots = 8200, note = "128 splits have keys with steps of 64" },
    { b = 5, lk = 700, hkv = 1, slots = 701, init = { k_len = any } },
    { b = 2, lk = 300, hkv = 1, slots = 300, init = { q = { "normal", 0, 8 } }, note = "one key takes it all" },
    { b = 2, lk = 300, hkv = 1, slots = 310, init = { q = { "uniform", 4, 8 }, k = { "uniform", -8, -4 } },
      note = "every score far below 0" },
    { b = 2, lk = 300, hkv = 1, slots = 310, init = { q = { "uniform", 3, 6 }, k = { "uniform", 3, 6 } },
      note = "every score far above 0: without the true maximum the exponential overflows" },
    { b = 2, lk = 200, hkv = 1, slots = 203, init = { q = { "uniform", 4, 8 }, k = { "offsets", 1 } },
      note = "scores grow from key to key by more than fp32's exponential reaches: the last one takes it all" },
    { b = 2, lk = 200, hkv = 1, slots = 203, init = { q = { "uniform", -8, -4 }, k = { "offsets", 1 } },
      note = "scores fall from key to key: the first piece takes it all, from the first warp's first tile" },
    { b = 9, lk = 3, hkv = 1, slots = 5, init = { k_len = { "index", 9 } }, note = "lengths past lk are cut" },
    { b = 9, lk = 20, hkv = 1, slots = 20, init = { k_begin = { "uniform", -4, 30 } }, note = "ranges past the cache are cut" },
    -- One tensor's rows alone are not aligned; one element more, and they would be.
    { b = 3, lk = 40, hkv = 1, slots = 44, pad = { q = 7 } },
    { b = 3, lk = 40, hkv = 1, slots = 44, pad = { k = 7 } },
    { b = 3, lk = 40, hkv = 1, slots = 44, pad = { v = 7 } },
    { b = 4, lk = 50, hkv = 2, slots = 60, init = { k_len = { "uniform", 0, 0 } }, note = "no keys: zeros" },
    { b = 2, lk = 0, hkv = 1, slots = 4, note = "no keys possible: zeros" },
    { b = 0, lk = 10, hkv = 1, slots = 10, note = "nothing to do" },
  },
  smoke = {
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=1 head_dim=32 dtype=fp32",
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=7 head_dim=128 dtype=fp16",
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=8 head_dim=128 dtype=fp32",
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=2 head_dim=64 dtype=bf16",
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=3 head_dim=80 dtype=bf16",
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=8 head_dim=80 dtype=fp32",
    "sdpa_decode b=2 lk=90 hkv=2 slots=100 group=8 head_dim=64 dtype=fp16",
  },
  model = {
    -- Qwen2-VL 2B (12 query heads on 2) and 7B (28 on 4): a short, a usual and a long context
    "sdpa_decode b=1 lk=512 hkv=2 slots=512 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=1 lk=2048 hkv=2 slots=2048 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=1 lk=32768 hkv=2 slots=32768 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=1 lk=2048 hkv=4 slots=2048 group=7 head_dim=128 dtype=bf16",
    -- contexts between, and several sequences
    "sdpa_decode b=1 lk=1024 hkv=2 slots=1024 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=1 lk=8192 hkv=2 slots=8192 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=8 lk=1024 hkv=2 slots=8192 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=8 lk=8192 hkv=2 slots=65536 group=6 head_dim=128 dtype=bf16",
    "sdpa_decode b=64 lk=1024 hkv=2 slots=65536 group=6 head_dim=128 dtype=bf16",
  },
}
