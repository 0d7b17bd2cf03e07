-- selective_scan_step: one step of selective_scan for b sequences (decode). README.md has the formula.
-- Step sizes of 1e-3 to 0.1, through softplus or as they are.
local delta_init = { "uniform", "softplus == 1 and -6 or 1e-3", "softplus == 1 and -2 or 0.1" }

return {
  name = "selective_scan_step",
  fields = {
    { "b", "extent" },
    { "d", "extent" },
    { "n", "spec", "1..256", default = 16 },
    { "g", "spec", "1..64", default = 1 },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },
    { "gate", "spec", { 0, 1 }, default = 1 },
    { "softplus", "spec", { 0, 1 }, default = 1 },
    { "conv", "spec", { 0, 2, 3, 4 }, default = 0 }, -- taps of a causal convolution of u, with SiLU; 0: u as it is
  },
  domain = { "d % g == 0" },
  tensors = {
    { "u", "in", dtype = "dtype", shape = { "b", "d" }, pitch = "u_pitch", init = { "normal", 0, 1 } },
    { "delta", "in", dtype = "dtype", shape = { "b", "d" }, pitch = "delta_pitch", init = delta_init },
    { "z", "in", dtype = "dtype", shape = { "b", "d" }, pitch = "z_pitch", when = "gate == 1", init = { "normal", 0, 1 } },
    { "B", "in", dtype = "dtype", shape = { "b", "g*n" }, pitch = "B_pitch", init = { "normal", 0, 1 } },
    { "C", "in", dtype = "dtype", shape = { "b", "g*n" }, pitch = "C_pitch", init = { "normal", 0, 1 } },
    { "A", "in", dtype = "fp32", shape = { "d", "n" }, init = { "uniform", -16, -0.5 } },
    { "D", "in", dtype = "fp32", shape = { "1", "d" }, optional = true, init = { "normal", 0, 1 } },
    { "dt_bias", "in", dtype = "fp32", shape = { "1", "d" }, optional = true,
      init = { "uniform", "-0.5*softplus", "0.5*softplus + 1e-3" } },
    { "conv_weight", "in", dtype = "fp32", shape = { "d", "conv" }, when = "conv > 0", init = { "normal", 0, 0.5 } },
    { "conv_bias", "in", dtype = "fp32", shape = { "1", "d" }, when = "conv > 0", optional = true },
    -- A copy of inputs: exact.
    { "conv_state", "inout", dtype = "dtype", shape = { "b", "conv - 1", "d" }, when = "conv > 0",
      tolerance = { fp32 = { rtol = 0, atol = 0, norm = 0 }, bf16 = { rtol = 0, atol = 0, norm = 0 },
                    fp16 = { rtol = 0, atol = 0, norm = 0 } } },
    { "h", "inout", dtype = "fp32", shape = { "b", "d", "n" }, init = { "normal", 0, 1 },
      tolerance = { fp32 = { rtol = 1e-5, atol = 1e-6, norm = 1e-6 } } },
    { "out", "out", dtype = "dtype", shape = { "b", "d" }, pitch = "out_pitch" },
  },
  scalars = {},
  lanes = "b*d",
  work = {
    flops = "b*d*(7*n + 10 + 2*conv)",
    bytes = "(b*d*(3 + gate + 2*max(conv - 1, 0)) + 2*b*g*n)*bytes(dtype) + 4*(d*n + d*(2 + conv + min(conv, 1)) + 2*b*d*n)",
  },
  tolerance = {
    fp32 = { rtol = 1e-5, atol = 1e-5, norm = 5e-6 },
    bf16 = { rtol = 8e-3, atol = 8e-3, norm = 4e-3 },
    fp16 = { rtol = 1e-3, atol = 1e-3, norm = 1e-3 },
  },
  cap = 200,
  versions = {
    { name = "lanes", file = "1_lanes.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 32, 64, 128, 256 } }, { "lanes", { 1, 2, 4, 8, 16, 32 } }, { "channels", { 1, 2, 4 } },
                   { "sequences", { 1, 2, 4, 8 } }, { "stream", { 0, 1 } } },
      default = { threads = 128, channels = 1, sequences = 1, stream = 0,
                  lanes = "n <= 4 and 1 or n <= 8 and 2 or n <= 16 and 4 or n <= 32 and 8 or n <= 64 and 16 or 32" },
      constraints = { "lanes < 2 * ceil_div(n, 4)",                    -- each has a pack of four states
                      "channels <= lanes",                             -- each has one channel at most for itself
                      "channels * ceil_div(n, lanes) <= 32",           -- states and A of a thread: registers
                      "sequences == 1 or sequences * 32 == threads" }, -- all of a block along channels, or a warp a sequence
      launches = { { entry = "selective_scan_step_lanes",
                     grid = { "ceil_div(d, threads // sequences // lanes * channels)", "min(ceil_div(b, sequences), 65535)", "1" },
                     block = { "threads", "1", "1" }, shared = "0" } } },
    { name = "states", file = "1_states.c.in", kind = "cpu", needs = {},
      tunables = { { "channels", { 16, 64, 256 } } },
      default = { channels = 64 },
      launches = { { entry = "selective_scan_step_states", grid = { "b*g*ceil_div(d // g, channels)", "1", "1" },
                     scratch = "4*((3 + min(conv, 1))*channels + 2*ceil_div(n, vector_bytes // 4)*(vector_bytes // 4))" } } },
  },
}
