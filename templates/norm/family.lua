-- Row norms of the residual stream, with the residual addition fused in front (README.md has the formulas).
return {
  name = "norm",
  fields = {
    { "m", "extent" },                              -- rows
    { "d", "extent" },                              -- columns, the normalised dimension
    { "kind", "spec", { "rms", "layer" } },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } }, -- of delta and out; x, weight and bias are fp32
    { "add", "spec", { 0, 1 }, default = 0 },       -- x += delta first, and x is written back
  },
  tensors = {
    -- Unchanged when add=0: there the verifier also sees to it that the kernel leaves x alone.
    { "x", "inout", dtype = "fp32", shape = { "m", "d" }, pitch = "x_pitch", init = { "normal", 0.5, 1 } },
    { "delta", "in", dtype = "dtype", shape = { "m", "d" }, pitch = "delta_pitch", when = "add == 1" },
    { "weight", "in", dtype = "fp32", shape = { "1", "d" }, init = { "normal", 1, 0.25 } },
    { "bias", "in", dtype = "fp32", shape = { "1", "d" }, when = 'kind == "layer"', optional = true },
    { "out", "out", dtype = "dtype", shape = { "m", "d" }, pitch = "out_pitch" },
  },
  scalars = { { "eps", 1e-5 } },
  lanes = "m",
  cache = "warm", -- the launch before has just written the inputs
  work = {
    flops = "m*d*(4 + add)",
    bytes = "m*d*(4 + bytes(dtype) + add*(4 + bytes(dtype))) + 4*d",
  },
  tolerance = {
    fp32 = { rtol = 1e-5, atol = 2e-6, norm = 1e-6 },
    bf16 = { rtol = 8e-3, atol = 8e-3, norm = 4e-3 },
    fp16 = { rtol = 1e-3, atol = 1e-3, norm = 5e-4 },
  },
  cap = 64,
  versions = {
    -- hold: chunks of four columns that a thread keeps in registers; what a row has beyond is read again.
    { name = "block_row", file = "1_block_row.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 64, 128, 256, 512 } }, { "hold", { 1, 2, 4, 8 } } },
      default = { threads = 256, hold = 4 },
      constraints = { "threads * hold <= 2048" },
      workspace = "0",
      launches = { { entry = "norm_block_row", grid = { "m", "1", "1" }, block = { "threads", "1", "1" },
                     shared = "0" } } },
    { name = "warp_row", file = "2_warp_row.cu.in", kind = "cuda", needs = {},
      tunables = { { "rows", { 2, 4, 8 } }, { "hold", { 4, 8, 16 } } },
      workspace = "0",
      launches = { { entry = "norm_warp_row", grid = { "ceil_div(m, rows)", "1", "1" },
                     block = { "32 * rows", "1", "1" }, shared = "0" } } },
    { name = "rows", file = "1_rows.c.in", kind = "cpu", needs = {},
      tunables = { { "rows", { 1, 4, 16 } } },
      default = { rows = 1 },
      workspace = "0",
      launches = { { entry = "norm_rows", grid = { "ceil_div(m, rows)", "1", "1" }, scratch = "0" } } },
  },
}
