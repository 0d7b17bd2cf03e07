-- Few outputs must not cancel, or the relative error says nothing.
local half_one = { "uniform", 0.5, 1 }
local positive = { x = half_one, weight = half_one, bias = half_one, state_in = half_one }

return {
  verify = {
    { b = 1, l = 1, d = 1, init = positive },
    { b = 2, l = 1, d = 72, alias = { state_out = "state_in" }, note = "decode: the state moves in place" },
    { b = 1, l = 1, d = 37, pad = 1, alias = { state_out = "state_in" }, note = "decode in place, ragged and unaligned" },
    { b = 2, l = 2, d = 48, note = "shorter than the taps: the state is part old, part new" },
    { b = 1, l = 2, d = 48, omit = { "state_in" }, note = "shorter than the taps, zeros before" },
    { b = 2, l = 37, d = 131, note = "primes" },
    { b = 3, l = 19, d = 46, pad = 1, note = "odd pitches: no wide access" },
    { b = 1, l = 64, d = 256, note = "whole tiles" },
    { b = 1, l = 65, d = 264, pad = 8, note = "one row more; aligned rows with gaps" },
    { b = 2, l = 133, d = 16, pad = 3 },
    -- One tensor's rows alone are not aligned; one element more, and they would be.
    { b = 2, l = 5, d = 48, pad = { x = 7 } },
    { b = 2, l = 5, d = 48, pad = { out = 7 } },
    { b = 2, l = 30, d = 40, omit = { "bias", "state_in", "state_out" }, note = "no optional tensor" },
    { b = 1, l = 20, d = 24, init = { x = { "uniform", -60, 60 } }, note = "SiLU far from zero" },
    { b = 1, l = 9, d = 40, init = { x = { "uniform", 1e37, 3.4e38 }, weight = half_one, bias = half_one, state_in = half_one },
      note = "sums that fp32 cannot hold, and in fp16 infinite inputs" },
    { b = 1, l = 9, d = 40, init = { weight = { "uniform", "0/0", "0/0" } }, note = "NaN stays NaN" },
    { b = 1, l = 0, d = 8, omit = { "state_out" }, note = "no steps: nothing to do" },
    { b = 0, l = 4, d = 8, note = "no batch: nothing to do" },
  },
  smoke = {
    "causal_conv1d b=2 l=100 d=72 dtype=fp32",
    "causal_conv1d b=2 l=100 d=72 dtype=bf16",
    "causal_conv1d b=2 l=100 d=72 dtype=fp16",
    "causal_conv1d b=1 l=50 d=40 width=2 dtype=fp32",
    "causal_conv1d b=1 l=50 d=40 width=3 dtype=bf16",
    "causal_conv1d b=1 l=50 d=40 width=8 dtype=fp32 act=none",
  },
  model = {
    -- state-spaces/mamba-130m-hf (d = 1536) and mamba-2.8b-hf (d = 5120): decode, a prompt
    "causal_conv1d b=1 l=1 d=1536 dtype=bf16",
    "causal_conv1d b=64 l=1 d=1536 dtype=bf16",
    "causal_conv1d b=1 l=1 d=5120 dtype=bf16",
    "causal_conv1d b=1 l=512 d=1536 dtype=bf16",
    "causal_conv1d b=1 l=2048 d=1536 dtype=bf16",
    "causal_conv1d b=1 l=2048 d=5120 dtype=bf16",
    "causal_conv1d b=1 l=2048 d=1536 dtype=fp32",
    -- long prompts, batches of prompts
    "causal_conv1d b=1 l=16384 d=1536 dtype=bf16",
    "causal_conv1d b=1 l=65536 d=1536 dtype=bf16",
    "causal_conv1d b=8 l=2048 d=1536 dtype=bf16",
    "causal_conv1d b=8 l=2048 d=5120 dtype=bf16",
    "causal_conv1d b=1 l=16384 d=5120 dtype=bf16",
    "causal_conv1d b=64 l=512 d=5120 dtype=bf16",
    "causal_conv1d b=16 l=4096 d=2048 dtype=bf16",
  },
}
