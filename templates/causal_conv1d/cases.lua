-- l around width and around the time tiles, d around the vectors and channel tiles.
return {
  verify = {
    { b = 1, l = 1, d = 1 },
    { b = 1, l = 1, d = 64, alias = { state_out = "state_in" }, note = "decode: the state in place" },
    { b = 3, l = 1, d = 37, alias = { state_out = "state_in" } },
    { b = 2, l = 2, d = 40, note = "shorter than the width" },
    { b = 2, l = 2, d = 40, omit = { "state_in" }, note = "zeros enter the state" },
    { b = 1, l = 65, d = 129, pad = 3, note = "no row but the first is aligned" },
    { b = 2, l = 67, d = 256 },
    { b = 1, l = 33, d = 1030, pad = 1, omit = { "state_in", "bias" } },
    { b = 1, l = 257, d = 24, omit = { "state_out" } },
    { b = 0, l = 5, d = 8, note = "nothing to do" },
  },
  smoke = {
    "causal_conv1d b=2 l=37 d=72 width=4 dtype=fp32 act=silu",
    "causal_conv1d b=2 l=37 d=72 width=4 dtype=bf16 act=silu",
    "causal_conv1d b=2 l=37 d=72 width=4 dtype=fp16 act=none",
    "causal_conv1d b=1 l=37 d=72 width=2 dtype=fp32 act=none",
    "causal_conv1d b=1 l=37 d=72 width=3 dtype=bf16 act=silu",
    "causal_conv1d b=1 l=37 d=72 width=8 dtype=fp16 act=silu",
  },
  model = {
    -- Mamba 130m and 2.8b (intermediate size 1536 and 5120): decode, a prefill chunk, a long prompt
    "causal_conv1d b=1 l=1 d=1536 width=4 dtype=bf16 act=silu",
    "causal_conv1d b=1 l=512 d=1536 width=4 dtype=bf16 act=silu",
    "causal_conv1d b=1 l=2048 d=1536 width=4 dtype=bf16 act=silu",
    "causal_conv1d b=8 l=2048 d=1536 width=4 dtype=bf16 act=silu",
    "causal_conv1d b=1 l=2048 d=5120 width=4 dtype=bf16 act=silu",
  },
}
