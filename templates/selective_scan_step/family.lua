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
    { "h", "inout", dtype = "fp32", shape = { "b", "d", "n" }, init = { "normal", 0, 1 },
      tolerance = { fp32 = { rtol = 1e-5, atol = 1e-6, norm = 1e-6 } } },
    { "out", "out", dtype = "dtype", shape = { "b", "d" }, pitch = "out_pitch" },
  },
  scalars = {},
  lanes = "b*d",
  work = {
    flops = "b*d*(7*n + 10)",
    bytes = "(b*d*(3 + gate) + 2*b*g*n)*bytes(dtype) + 4*(d*n + 2*d + 2*b*d*n)",
  },
  tolerance = {
    fp32 = { rtol = 1e-5, atol = 1e-5, norm = 5e-6 },
    bf16 = { rtol = 8e-3, atol = 8e-3, norm = 4e-3 },
    fp16 = { rtol = 1e-3, atol = 1e-3, norm = 1e-3 },
  },
  cap = 200,
  versions = {
    { name = "lanes", file = "1_lanes.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 32, 64, 128, 256 } }, { "lanes", { 1, 2, 4, 8, 16, 32 } }, { "channels", { 1, 2, 4 } } },
      default = { threads = 128, channels = 1,
                  lanes = "n <= 4 and 1 or n <= 8 and 2 or n <= 16 and 4 or n <= 32 and 8 or n <= 64 and 16 or 32" },
      constraints = { "lanes <= n", "channels * ceil_div(n, lanes) <= 32" }, -- states and A of a thread: registers
      launches = { { entry = "selective_scan_step_lanes", grid = { "b*ceil_div(d, threads // lanes * channels)", "1", "1" },
                     block = { "threads", "1", "1" }, shared = "0" } } },
    { name = "states", file = "1_states.c.in", kind = "cpu", needs = {},
      tunables = { { "channels", { 16, 64, 256 } } },
      default = { channels = 64 },
      launches = { { entry = "selective_scan_step_states", grid = { "b*g*ceil_div(d // g, channels)", "1", "1" },
                     scratch = "4*(3*channels + 2*ceil_div(n, vector_bytes // 4)*(vector_bytes // 4))" } } },
  },
}
