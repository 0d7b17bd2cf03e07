-- causal_conv1d: Mamba's short depthwise convolution with bias and SiLU. README.md has the formula.
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
    { "bias", "in", dtype = "fp32", shape = { "d" }, optional = true },
    { "state_in", "in", dtype = "dtype", shape = { "b", "width - 1", "d" }, optional = true },
    { "state_out", "out", dtype = "dtype", shape = { "b", "width - 1", "d" }, optional = true },
    { "out", "out", dtype = "dtype", shape = { "b", "l", "d" }, pitch = "out_pitch" },
  },
  lanes = "b*d",
  -- x and out once; weights, bias and the states are small beside them for long l and all there is for l = 1.
  work = {
    flops = "b*l*d*(2*width + 4)",
    bytes = "2*b*l*d*bytes(dtype) + 4*d*(width + 1) + 2*b*(width - 1)*d*bytes(dtype)",
  },
  tolerance = {
    fp32 = { rtol = 1e-5, atol = 2e-6, norm = 1e-6 },
    bf16 = { rtol = 8e-3, atol = 8e-3, norm = 3e-3 },
    fp16 = { rtol = 1e-3, atol = 1e-3, norm = 5e-4 },
  },
  cap = 128,
  versions = {
    { name = "walk", file = "1_walk.cu.in", kind = "cuda",
      tunables = { { "threads", { 64, 128, 256 } }, { "vec", { 1, 2, 4, 8 } }, { "rows", { 4, 8, 16, 32, 64 } } },
      default = { threads = 128, vec = 'dtype == "fp32" and 4 or 8', rows = 16 },
      -- A window of width rows, the weights and the bias live in registers: 2*width*vec floats and some.
      constraints = { "vec * bytes(dtype) <= 16", "2 * width * vec <= 128" },
      launches = { { entry = "causal_conv1d_walk", grid = { "b * ceil_div(l, rows)", "ceil_div(d, threads * vec)", "1" },
                     block = { "threads", "1", "1" }, shared = "0" } } },
    { name = "rows", file = "1_rows.c.in", kind = "cpu",
      tunables = { { "channels", { 64, 256, 1024 } }, { "rows", { 16, 64, 256 } } },
      default = { channels = 256, rows = 64 },
      launches = { { entry = "causal_conv1d_rows", grid = { "ceil_div(d, channels)", "b * ceil_div(l, rows)", "1" },
                     scratch = "4 * channels * (width + 1)" } } },
  },
}
