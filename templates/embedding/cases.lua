return {
  verify = {
    { t = 1, v = 1, d = 1 },
    { t = 7, v = 13, d = 31, pad = 1 },
    { t = 37, v = 100, d = 130, pad = 3 },
    { t = 5, v = 29, d = 768 },
    { t = 3, v = 17, d = 2564, pad = 4, note = "more columns than one pass of the block" },
    -- One tensor's rows alone are not aligned; one element more, and they would be.
    { t = 5, v = 11, d = 72, pad = { table = 7 } },
    { t = 5, v = 11, d = 72, pad = { out = 7 } },
    { t = 0, v = 4, d = 8, note = "nothing to do" },
    { t = 64, v = 9, d = 20, init = { ids = { "index", 18 } }, note = "ids past the table give zeros" },
  },
  smoke = {
    "embedding t=5 v=50 d=33 dtype=fp32",
    "embedding t=5 v=50 d=64 dtype=bf16",
    "embedding t=5 v=50 d=64 dtype=fp16",
  },
  model = {
    -- Mamba 130m and 2.8b, Qwen2-VL 2B: one token and a prefill chunk
    "embedding t=1 v=50280 d=768 dtype=fp32",
    "embedding t=512 v=50280 d=768 dtype=fp32",
    "embedding t=1 v=50280 d=2560 dtype=bf16",
    "embedding t=512 v=50280 d=2560 dtype=bf16",
    "embedding t=512 v=151936 d=1536 dtype=bf16",
  },
}
