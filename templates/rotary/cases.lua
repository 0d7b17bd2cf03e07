-- slots = 0: for cache=0 only; slots above 0: for cache=1 only. Sections that end inside a vector, that are empty, that are all.
return {
  verify = {
    { m = 1, hq = 1, hkv = 1, slots = 0, p = 1, s0 = 3, s1 = 5 },
    { m = 1, hq = 1, hkv = 1, slots = 1, p = 1, s0 = 3, s1 = 5 },
    { m = 1, hq = 12, hkv = 2, slots = 70, p = 90, s0 = 16, s1 = 40, note = "decode: one row into a cache" },
    { m = 37, hq = 4, hkv = 2, slots = 53, p = 61, s0 = 2, s1 = 5, note = "rows scattered over the cache" },
    { m = 37, hq = 4, hkv = 4, slots = 0, p = 61, s0 = 0, s1 = 4, alias = { q_out = "q", k_out = "k" }, note = "in place" },
    { m = 19, hq = 3, hkv = 1, slots = 0, p = 20, s0 = 64, s1 = 64, pad = 1, alias = { q_out = "q", k_out = "k" },
      note = "plain rotary in place, no row aligned" },
    { m = 11, hq = 7, hkv = 1, slots = 16, p = 40, s0 = 7, s1 = 21, pad = 3, alias = { q_out = "q" }, note = "no row aligned" },
    { m = 67, hq = 6, hkv = 3, slots = 67, p = 300, s0 = 16, s1 = 40, pad = 8, note = "aligned rows with a pitch" },
    { m = 5, hq = 2, hkv = 0, slots = 0, p = 9, s0 = 1, s1 = 1, note = "no keys" },
    { m = 9, hq = 2, hkv = 1, slots = 12, p = 8, s0 = 2, s1 = 4, init = { slot = { "uniform", 12, 13 } },
      note = "slots past the cache: nothing is written there" },
    { m = 9, hq = 2, hkv = 1, slots = 0, p = 8, s0 = 2, s1 = 4, init = { positions = { "uniform", -9, 20 } },
      note = "positions outside the table" },
    { m = 0, hq = 2, hkv = 1, slots = 0, p = 1, s0 = 0, s1 = 0, note = "nothing to do" },
  },
  smoke = {
    "rotary m=13 hq=4 hkv=2 slots=20 p=30 s0=2 s1=5 head_dim=16 dtype=fp32",
    "rotary m=13 hq=4 hkv=2 slots=20 p=30 s0=4 s1=10 head_dim=32 dtype=bf16",
    "rotary m=13 hq=4 hkv=4 slots=0 p=30 s0=0 s1=16 head_dim=64 dtype=fp16 cache=0",
    "rotary m=13 hq=4 hkv=4 slots=0 p=30 s0=0 s1=20 head_dim=80 dtype=bf16 cache=0",
    "rotary m=13 hq=4 hkv=4 slots=0 p=30 s0=0 s1=20 head_dim=80 dtype=fp32 cache=0",
    "rotary m=13 hq=6 hkv=1 slots=20 p=30 s0=16 s1=40 head_dim=128 dtype=bf16",
    "rotary m=13 hq=6 hkv=1 slots=20 p=30 s0=16 s1=40 head_dim=128 dtype=fp16",
  },
  model = {
    -- Qwen2-VL 2B and 7B text (sections 16, 24, 24 of 64): a token, a prompt; the vision tower at 1024 and 4096 patches
    "rotary m=1 hq=12 hkv=2 slots=2048 p=2048 s0=16 s1=40 head_dim=128 dtype=bf16",
    "rotary m=1338 hq=12 hkv=2 slots=2048 p=2048 s0=16 s1=40 head_dim=128 dtype=bf16",
    "rotary m=1 hq=28 hkv=4 slots=2048 p=2048 s0=16 s1=40 head_dim=128 dtype=bf16",
    "rotary m=1338 hq=28 hkv=4 slots=2048 p=2048 s0=16 s1=40 head_dim=128 dtype=bf16",
    "rotary m=1024 hq=16 hkv=16 slots=0 p=64 s0=0 s1=20 head_dim=80 dtype=bf16 cache=0",
    "rotary m=4096 hq=16 hkv=16 slots=0 p=64 s0=0 s1=20 head_dim=80 dtype=bf16 cache=0",
  },
}
