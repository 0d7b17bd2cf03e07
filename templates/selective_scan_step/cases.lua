-- One step can only be wrong in its indices and in its edges.
local large = { delta = { "uniform", "-30*softplus", 30 } }

-- Few outputs must not cancel, or the relative error says nothing.
local half_one = { "uniform", 0.5, 1 }
local positive = { u = half_one, B = half_one, C = half_one, D = half_one, h = half_one, z = half_one,
                   conv_weight = half_one, conv_bias = half_one, conv_state = half_one }

return {
  verify = {
    { b = 1, d = 1, init = positive },
    { b = 1, d = 2, init = positive, note = "fewer channels than a block" },
    { b = 3, d = 46, pad = 1, note = "odd pitches: no wide access" },
    { b = 2, d = 134, pad = 3 },
    { b = 2, d = 256, note = "whole blocks" },
    { b = 5, d = 1030, pad = 8, note = "several ragged blocks a sequence" },
    -- One tensor's rows alone are not aligned; one element more, and they would be.
    { b = 3, d = 16, pad = { B = 7 } },
    { b = 3, d = 16, pad = { C = 7 } },
    { b = 70, d = 6, note = "more sequences than channels" },
    { b = 2, d = 20, omit = { "D", "dt_bias", "conv_bias" } },
    { b = 2, d = 64, init = large, note = "softplus beyond its threshold, decays that underflow" },
    { b = 2, d = 64, init = { delta = { "uniform", "1e-4-9*softplus", "2e-4-8*softplus" } },
      note = "small steps keep their digits" },
    { b = 2, d = 8,
      init = { delta = { "uniform", "-300*softplus", "-300*softplus" }, dt_bias = { "uniform", 0, 0 } },
      note = "step size zero: the state stays as it is" },
    { b = 0, d = 8, note = "nothing to do" },
  },
  smoke = {
    "selective_scan_step b=2 d=72 n=16 dtype=fp32",
    "selective_scan_step b=2 d=72 n=16 dtype=bf16",
    "selective_scan_step b=2 d=72 n=16 dtype=fp16",
    "selective_scan_step b=2 d=72 n=8 g=2 dtype=fp32",
    "selective_scan_step b=1 d=40 n=5 dtype=fp32 gate=0",
    "selective_scan_step b=1 d=40 n=16 dtype=fp32 softplus=0",
    "selective_scan_step b=1 d=24 n=1 dtype=fp32",
    "selective_scan_step b=1 d=24 n=256 dtype=bf16",
    "selective_scan_step b=1 d=24 n=20 dtype=fp32",
    "selective_scan_step b=2 d=72 n=16 dtype=bf16 conv=4",
    "selective_scan_step b=2 d=72 n=8 g=2 dtype=fp16 conv=3",
    "selective_scan_step b=1 d=40 n=5 dtype=fp32 gate=0 conv=2",
  },
  model = {
    -- state-spaces/mamba-130m-hf (d = 1536) and mamba-2.8b-hf (d = 5120): one sequence, a full batch
    "selective_scan_step b=1 d=1536 n=16 dtype=bf16",
    "selective_scan_step b=64 d=1536 n=16 dtype=bf16",
    "selective_scan_step b=1 d=5120 n=16 dtype=bf16",
    "selective_scan_step b=64 d=5120 n=16 dtype=bf16",
    "selective_scan_step b=8 d=5120 n=16 dtype=bf16",
    "selective_scan_step b=256 d=5120 n=16 dtype=bf16",
    "selective_scan_step b=1 d=1536 n=16 dtype=fp32",
    -- the convolution before it inside
    "selective_scan_step b=1 d=1536 n=16 dtype=bf16 conv=4",
    "selective_scan_step b=1 d=5120 n=16 dtype=bf16 conv=4",
    "selective_scan_step b=8 d=5120 n=16 dtype=bf16 conv=4",
    "selective_scan_step b=64 d=5120 n=16 dtype=bf16 conv=4",
    "selective_scan_step b=256 d=5120 n=16 dtype=bf16 conv=4",
  },
}
