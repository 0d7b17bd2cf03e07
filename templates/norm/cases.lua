-- d: a single column, primes, one past a chunk of four, one past what the registers of a block hold.
return {
  verify = {
    { m = 1, d = 1 },
    { m = 3, d = 31, pad = 2, note = "no row but the first is aligned" },
    { m = 37, d = 257, pad = 3 },
    { m = 5, d = 768, omit = { "bias" } },
    { m = 9, d = 130, pad = 2, note = "aligned rows with a tail" },
    { m = 2, d = 8197, note = "longer than the registers of a warp, and of most blocks" },
    { m = 1, d = 20000 },
    -- One tensor's rows alone are not aligned; one element more, and they would be.
    { m = 3, d = 64, pad = { x = 7 } },
    { m = 3, d = 64, pad = { delta = 7 } },
    { m = 3, d = 64, pad = { out = 7 } },
    { m = 0, d = 64, note = "nothing to do" },
    { m = 4, d = 513, init = { x = { "normal", 20, 1 } }, note = "E[x^2] - E[x]^2 would lose two digits" },
    { m = 3, d = 260, init = { x = { "normal", 5000, 1 }, delta = { "uniform", 0, 0 } }, note = "nearer 0, a wrong mean is corrected too" },
    { m = 4, d = 64, init = { x = { "uniform", 1e-4, 1e-4 }, delta = { "uniform", 0, 0 } }, note = "eps decides" },
    { m = 4, d = 96, init = { x = { "uniform", 0, 0 } }, note = "zeros" },
    { m = 3, d = 70, init = { weight = { "uniform", 2e4, 7e4 } }, note = "some are infinite in fp16" },
    { m = 3, d = 70, init = { weight = { "uniform", 1e38, 3.4e38 } }, note = "some are infinite in fp32" },
    { m = 3, d = 70, init = { weight = { "uniform", "0/0", "0/0" } }, note = "NaN stays NaN" },
  },
  smoke = {
    "norm m=7 d=100 kind=rms dtype=fp32 add=1",
    "norm m=7 d=100 kind=layer dtype=bf16",
    "norm m=7 d=100 kind=layer dtype=fp32",
    "norm m=7 d=100 kind=rms dtype=fp16",
  },
  model = {
    -- Mamba 130m and 2.8b: decode and a prefill chunk; the residual is added by the projection before, or by the norm
    "norm m=512 d=768 kind=rms dtype=bf16 add=0",
    "norm m=2048 d=2560 kind=rms dtype=bf16 add=0",
    "norm m=1 d=768 kind=rms dtype=fp32 add=1",
    "norm m=512 d=768 kind=rms dtype=fp32 add=1",
    "norm m=1 d=2560 kind=rms dtype=bf16 add=1",
    "norm m=512 d=2560 kind=rms dtype=bf16 add=1",
    -- Qwen2-VL: text rows, vision rows
    "norm m=1 d=1536 kind=rms dtype=bf16 add=1",
    "norm m=2048 d=1536 kind=rms dtype=bf16 add=1",
    "norm m=4096 d=1280 kind=layer dtype=bf16 add=1",
  },
}
