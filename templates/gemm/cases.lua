-- Model shapes: Mamba (https://huggingface.co/state-spaces, config.json of 130m and 2.8b): in_proj, x_proj, dt_proj (reads
-- the first columns of x_proj's output), out_proj; Qwen2-VL 2B: vision qkv and MLP, the text model's gate and up in one.
return {
  verify = {
    { m = 1, n = 1, k = 1 },
    { m = 17, n = 37, k = 53, note = "primes, no row aligned" },
    { m = 2, n = 5, k = 6, pad = 3, note = "k below one vector" },
    { m = 33, n = 80, k = 48, pad = 3 },
    { m = 9, n = 24, k = 48, pad = 8, note = "aligned rows with a pitch" },
    { m = 63, n = 65, k = 64, note = "just below and above a tile" },
    { m = 65, n = 63, k = 63, omit = { "residual" } },
    { m = 64, n = 64, k = 65, omit = { "bias" } },
    { m = 127, n = 129, k = 33, omit = { "bias", "residual" } },
    { m = 129, n = 31, k = 129, alias = { out = "residual" }, note = "the residual stream, updated in place" },
    { m = 7, n = 40, k = 72, pad = 3, alias = { out = "residual" } },
    { m = 3, n = 16, k = 1030, note = "few rows, long k: more than one step on the CPU" },
    { m = 5, n = 257, k = 40, note = "aligned rows, partial last chunk of k after padding to steps" },
    { m = 130, n = 150, k = 200 },
    { m = 0, n = 8, k = 8, note = "nothing to do" },
    { m = 8, n = 8, k = 16, init = { x = { "uniform", 0, 0 } }, note = "zeros: act(bias) + residual remains" },
    { m = 8, n = 48, k = 16, init = { bias = { "normal", 0, 40 } }, note = "the ends of the activations" },
  },
  smoke = {
    "gemm m=33 n=40 k=50 dtype=fp32 out=fp32",
    "gemm m=33 n=40 k=48 dtype=fp32 out=fp32 act=silu",
    "gemm m=17 n=33 k=40 dtype=bf16 out=bf16 act=gelu",
    "gemm m=17 n=33 k=40 dtype=bf16 out=bf16 act=quick_gelu",
    "gemm m=20 n=64 k=24 dtype=bf16 out=fp32",
    "gemm m=20 n=64 k=24 dtype=fp16 out=fp16 act=softplus",
    "gemm m=20 n=24 k=64 dtype=fp16 out=fp32",
    "gemm m=20 n=24 k=64 dtype=fp32 out=bf16",
  },
  model = {
    -- Mamba 130m, a prefill of 512
    "gemm m=512 n=3072 k=768 dtype=bf16 out=bf16",
    "gemm m=512 n=80 k=1536 dtype=bf16 out=bf16",
    "gemm m=512 n=1536 k=48 dtype=bf16 out=bf16 act=softplus",
    "gemm m=512 n=768 k=1536 dtype=bf16 out=bf16",
    "gemm m=512 n=3072 k=768 dtype=fp32 out=fp32",
    "gemm m=512 n=80 k=1536 dtype=fp32 out=fp32",
    "gemm m=512 n=1536 k=48 dtype=fp32 out=fp32 act=softplus",
    "gemm m=512 n=768 k=1536 dtype=fp32 out=fp32",
    -- Mamba 2.8b
    "gemm m=512 n=10240 k=2560 dtype=bf16 out=bf16",
    "gemm m=512 n=192 k=5120 dtype=bf16 out=bf16",
    "gemm m=512 n=5120 k=160 dtype=bf16 out=bf16 act=softplus",
    "gemm m=512 n=2560 k=5120 dtype=bf16 out=bf16",
    -- Qwen2-VL 2B: vision and text at the 1338 tokens of a usual image
    "gemm m=1338 n=3840 k=1280 dtype=bf16 out=bf16",
    "gemm m=1338 n=5120 k=1280 dtype=bf16 out=bf16 act=quick_gelu",
    "gemm m=1338 n=17920 k=1536 dtype=bf16 out=bf16",
    "gemm m=1338 n=1536 k=8960 dtype=bf16 out=bf16",
  },
}
