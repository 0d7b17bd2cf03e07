-- A case of `verify` runs for every specialization. The oracle costs about 15 ns a state and step, so they are small.
-- Step sizes through softplus or as they are: about 1e-3, and up to 30.
local slow = { delta = { "uniform", "1e-3-7*softplus", "1.5e-3-6.5*softplus" }, dt_bias = { "uniform", 0, 0 },
               A = { "uniform", -2, -0.5 } }
-- Few outputs must not cancel, or the relative error says nothing.
local half_one = { "uniform", 0.5, 1 }
local positive = { u = half_one, B = half_one, C = half_one, D = half_one, h0 = half_one, z = half_one }
local large = { delta = { "uniform", "-30*softplus", 30 } }

return {
  verify = {
    { b = 1, l = 1, d = 1, init = positive, note = "smallest" },
    { b = 1, l = 1, d = 2, init = positive, alias = { h_last = "h0" }, note = "one step in place" },
    { b = 2, l = 37, d = 46, note = "ragged in time and channels" },
    { b = 1, l = 128, d = 64, note = "whole tiles and chunks" },
    { b = 3, l = 19, d = 26, pad = 1, note = "odd pitches: no wide access" },
    { b = 1, l = 65, d = 34, pad = 3, alias = { h_last = "h0" }, note = "one step more than whole tiles; state in place" },
    { b = 1, l = 35, d = 10, pad = 8, omit = { "D", "dt_bias", "h0", "h_last" }, note = "no optional tensor" },
    -- One tensor's rows alone are not aligned; one element more, and they would be.
    { b = 2, l = 16, d = 16, pad = { u = 7 } },
    { b = 2, l = 16, d = 16, pad = { delta = 7 } },
    { b = 2, l = 16, d = 16, pad = { z = 7 } },
    { b = 2, l = 16, d = 16, pad = { out = 7 } },
    { b = 2, l = 16, d = 16, pad = { B = 1 } },
    { b = 2, l = 16, d = 16, pad = { C = 1 } },
    { b = 2, l = 37, d = 9, pad = { u = 7, delta = 7, z = 7, out = 7 },
      note = "every row aligned, channels ragged: wide accesses would leave them" },
    { b = 2, l = 137, d = 9, pad = { u = 7, delta = 7, z = 7, out = 7, B = 7, C = 7 },
      note = "channel_first: every row aligned, time ragged" },
    { b = 9, l = 40, d = 10, alias = { h_last = "h0" }, note = "varlen: short and empty sequences" },
    { b = 2, l = 31, d = 18, omit = { "h0" }, note = "from zero" },
    { b = 1, l = 33, d = 134, omit = { "D" }, note = "more channels than a block of most variants" },
    { b = 1, l = 3000, d = 4, init = slow, note = "decay near one: errors of the exponential add up" },
    { b = 1, l = 300, d = 4, init = { u = { "uniform", 1, 1 }, B = { "uniform", 1, 1 } }, note = "constant input" },
    { b = 1, l = 40, d = 6, init = large, note = "softplus beyond its threshold, decays that underflow" },
    { b = 1, l = 40, d = 6,
      init = { delta = { "uniform", "-300*softplus", "-300*softplus" }, dt_bias = { "uniform", 0, 0 } },
      note = "step size zero: the state stays as it is" },
    { b = 0, l = 5, d = 8, note = "no batch: nothing to do" },
    { b = 2, l = 0, d = 8, note = "no steps: the states stay as they are" },
    { b = 2, l = 0, d = 8, omit = { "h0" }, note = "no steps, from zero" },
  },
  smoke = {
    "selective_scan b=2 l=100 d=72 n=16 dtype=fp32",
    "selective_scan b=2 l=100 d=72 n=16 dtype=bf16",
    "selective_scan b=2 l=50 d=72 n=8 g=2 dtype=fp16",
    "selective_scan b=1 l=50 d=40 n=5 dtype=fp32 gate=0 softplus=0",
    "selective_scan b=1 l=40 d=24 n=1 dtype=fp32",
    "selective_scan b=1 l=40 d=24 n=256 dtype=bf16",
    "selective_scan b=1 l=40 d=24 n=20 dtype=fp32",
    "selective_scan b=3 l=100 d=72 n=16 dtype=bf16 varlen=1",
    "selective_scan b=3 l=50 d=40 n=64 g=2 dtype=fp16 gate=0 varlen=1",
    "selective_scan b=2 l=100 d=72 n=16 dtype=bf16 layout=channel_first",
    "selective_scan b=2 l=50 d=72 n=4 g=4 dtype=fp16 gate=0 softplus=0 layout=channel_first",
    "selective_scan b=1 l=40 d=24 n=64 g=2 dtype=fp32 layout=channel_first",
  },
  model = {
    -- state-spaces/mamba-130m-hf (d = 1536) and mamba-2.8b-hf (d = 5120): a prompt, a batch of prompts
    "selective_scan b=1 l=2048 d=1536 n=16 dtype=bf16",
    "selective_scan b=1 l=512 d=1536 n=16 dtype=bf16",
    "selective_scan b=8 l=2048 d=1536 n=16 dtype=bf16",
    "selective_scan b=1 l=2048 d=5120 n=16 dtype=bf16",
    -- a long prompt, and batches that fill a large GPU
    "selective_scan b=1 l=16384 d=1536 n=16 dtype=bf16",
    "selective_scan b=1 l=65536 d=1536 n=16 dtype=bf16",
    "selective_scan b=1 l=16384 d=5120 n=16 dtype=bf16",
    "selective_scan b=16 l=4096 d=2048 n=16 dtype=bf16",
    "selective_scan b=8 l=2048 d=5120 n=16 dtype=bf16",
    "selective_scan b=64 l=512 d=5120 n=16 dtype=bf16",
    "selective_scan b=1 l=2048 d=1536 n=16 dtype=fp32",
    "selective_scan b=1 l=2048 d=1536 n=16 dtype=fp16",
    "selective_scan b=1 l=65536 d=1536 n=16 dtype=fp32",
    -- as mamba_ssm lays them out; prompts of several lengths
    "selective_scan b=1 l=2048 d=1536 n=16 dtype=bf16 layout=channel_first",
    "selective_scan b=8 l=2048 d=1536 n=16 dtype=bf16 varlen=1",
  },
}
