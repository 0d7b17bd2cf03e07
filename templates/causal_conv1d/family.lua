-- causal_conv1d: depthwise causal convolution along time with SiLU, prefill and step. README.md has the formula.
return {
  name = "causal_conv1d",
  fields = {
    { "b", "extent" },
    { "l", "extent" },
    { "d", "extent" },
    { "width", "spec", "2..8", default = 4 },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },
    { "act", "spec", { "none", "silu" }, default = "silu" },
  },
  tensors = {
    { "x", "in", dtype = "dtype", shape = { "b", "l", "d" }, pitch = "x_pitch" },
    { "weight", "in", dtype = "fp32", shape = { "d", "width" }, init = { "normal", 0, 0.5 } },
    { "bias", "in", dtype = "fp32", shape = { "1", "d" }, optional = true },
    { "state_in", "in", dtype = "dtype", shape = { "b", "width - 1", "d" }, optional = true },
    -- A copy of inputs: exact.
    { "state_out", "out", dtype = "dtype", shape = { "b", "width - 1", "d" }, optional = true,
      tolerance = { fp32 = { rtol = 0, atol = 0, norm = 0 }, bf16 = { rtol = 0, atol = 0, norm = 0 },
                    fp16 = { rtol = 0, atol = 0, norm = 0 } } },
    { "out", "out", dtype = "dtype", shape = { "b", "l", "d" }, pitch = "out_pitch" },
  },
  scalars = {},
  lanes = "b*d",
  cache = "warm", -- the launch before has just written the inputs
  work = {
    flops = "b*l*d*(2*width + 4)",
    bytes = "(2*b*l*d + 2*b*(width - 1)*d)*bytes(dtype) + 4*d*(width + 1)",
  },
  tolerance = {
    fp32 = { rtol = 1e-5, atol = 2e-6, norm = 1e-6 },
    bf16 = { rtol = 8e-3, atol = 4e-3, norm = 3e-3 },
    fp16 = { rtol = 1e-3, atol = 5e-4, norm = 5e-4 },
  },
  cap = 400,
  versions = {
    { name = "walk", file = "1_walk.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 64, 128, 256 } }, { "walks", { 1, 2, 4, 8 } }, { "channels", { 1, 2, 4, 8 } },
                   { "rows", { 1, 2, 4, 8, 16, 32, 64 } }, { "flight", { 1, 2, 4, 8 } } },
      default = { threads = 64, walks = 1, channels = "width <= 4 and 16 // bytes(dtype) // 2 or 2", rows = 16, flight = 4 },
      constraints = {
        "walks == 1 or threads // walks == 32",            -- all of a block along channels, or a warp a walk
        "rows <= 8 and flight == rows or rows > 8 and flight >= 4",
        "channels * bytes(dtype) <= 16",
        -- Registers: taps and window, two batches of rows as they came, the rows' addresses.
        "channels * (2*width + 1 + flight * bytes(dtype) // 2) + 4*flight + 56 <= 255",
      },
      launches = { { entry = "causal_conv1d_walk",
                     grid = { "b*ceil_div(l, rows*walks)*ceil_div(d, channels*(threads//walks))", "1", "1" },
                     block = { "threads", "1", "1" }, shared = "0" } } },
    { name = "tile", file = "1_tile.c.in", kind = "cpu", needs = {},
      tunables = { { "channels", { 16, 64, 256 } }, { "rows", { 1, 8, 32, 128 } } },
      default = { channels = 64, rows = 32 },
      launches = { { entry = "causal_conv1d_tile", grid = { "b*ceil_div(l, rows)*ceil_div(d, channels)", "1", "1" },
                     scratch = "4*channels*(2*width + rows)" } } },
  },
}
