-- Product of a matrix with one vector, with a fused end: out = act(w * x + bias) + residual (README.md).
-- swiglu makes one column of out of two rows of w.
local columns = "(act == 'swiglu' and n // 2 or n)"
local pairs_whole = "act ~= 'swiglu' or rows >= 2"
local ahead_possible = 'ahead == 0 or has("dependent_launch")'

return {
  name = "gemv",
  fields = {
    { "n", "extent" },                                -- rows of w
    { "k", "extent" },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },  -- of x and w
    { "out", "spec", { "fp32", "bf16", "fp16" } },    -- of out and residual
    { "act", "spec", { "none", "silu", "gelu", "quick_gelu", "softplus", "swiglu" }, default = "none" },
  },
  domain = { "act ~= 'swiglu' or n % 2 == 0" },
  tensors = {
    { "x", "in", dtype = "dtype", shape = { "1", "k" }, init = { "normal", 0, 1 } },
    { "w", "in", dtype = "dtype", shape = { "n", "k" }, pitch = "w_pitch", init = { "normal", 0, 0.05 } },
    { "bias", "in", dtype = "fp32", shape = { "1", "n" }, optional = true, init = { "normal", 0, 1 } },
    { "residual", "in", dtype = "out", shape = { "1", columns }, optional = true, init = { "normal", 0, 1 } },
    { "out", "out", dtype = "out", shape = { "1", columns } },
  },
  lanes = columns,
  work = { flops = "2*n*k", bytes = "bytes(dtype)*(k + n*k) + 2*bytes(out)*" .. columns .. " + 4*n" },
  -- As gemm's; sums are spread over lanes here, so rounding is far below the bound.
  tolerance = {
    fp32 = { rtol = 1e-4, atol = 1e-5, norm = 4e-6 },
    bf16 = { rtol = 8e-3, atol = 8e-3, norm = 4e-3 },
    fp16 = { rtol = 1e-3, atol = 1e-3, norm = 5e-4 },
  },
  cap = 180,
  versions = {
    -- rows * unroll 16-byte loads are in flight a lane: 2 to 8. ahead: whether the first of them are prefetched while the launch before
    -- still ends; where all rows together are more than L2 takes, that is a loss.
    { name = "warp_rows", file = "1_warp_rows.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 64, 128, 256 } }, { "lanes", { 8, 16, 32 } }, { "rows", { 1, 2, 4 } }, { "unroll", { 1, 2, 4 } },
                   { "ahead", { 0, 1 } } },
      default = { threads = 128, lanes = 32, rows = 2, unroll = 2, ahead = 'has("dependent_launch") and 1 or 0' },
      constraints = { "rows * unroll >= 2 and rows * unroll <= 8", pairs_whole, ahead_possible },
      workspace = "0",
      launches = { { entry = "gemv_warp_rows", grid = { "ceil_div(n, threads // lanes * rows)", "1", "1" },
                     block = { "threads", "1", "1" }, shared = "0" } } },
    { name = "split_k", file = "2_split_k.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 64, 128, 256 } }, { "rows", { 1, 2, 4 } }, { "unroll", { 1, 2, 4 } }, { "ahead", { 0, 1 } } },
      constraints = { "rows * unroll <= 8", pairs_whole, ahead_possible },
      workspace = "0",
      launches = { { entry = "gemv_split_k", grid = { "ceil_div(n, rows)", "1", "1" }, block = { "threads", "1", "1" },
                     shared = "0" } } },
    { name = "dot_rows", file = "1_dot_rows.c.in", kind = "cpu", needs = {},
      tunables = { { "rows", { 4, 8 } }, { "block_rows", { 16, 64, 256 } } },
      default = { rows = 8, block_rows = 64 },
      workspace = "0",
      launches = { { entry = "gemv_dot_rows", grid = { "ceil_div(n, block_rows)", "1", "1" }, scratch = "0" } } },
  },
}
