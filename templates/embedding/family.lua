-- Gather of embedding rows, converted to the fp32 residual stream.
return {
  name = "embedding",
  fields = {
    { "t", "extent" },                               -- tokens
    { "v", "extent" },                               -- rows of the table
    { "d", "extent" },                               -- columns
    { "dtype", "spec", { "fp32", "bf16", "fp16" } }, -- of the table
  },
  tensors = {
    { "ids", "in", dtype = "int32", shape = { "1", "t" }, init = { "index", "v" } },
    { "table", "in", dtype = "dtype", shape = { "v", "d" }, pitch = "table_pitch" },
    { "out", "out", dtype = "fp32", shape = { "t", "d" }, pitch = "out_pitch" },
  },
  scalars = {},
  lanes = "t",
  work = { flops = "0", bytes = "t*d*(bytes(dtype) + 4) + 4*t" },
  tolerance = { fp32 = { rtol = 1e-12, atol = 1e-12, norm = 1e-12 } }, -- a conversion to fp32 is exact
  cap = 16,
  versions = {
    { name = "block_row", file = "1_block_row.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 64, 128, 256, 512 } } },
      default = { threads = 256 },
      workspace = "0",
      launches = { { entry = "embedding_block_row", grid = { "t", "1", "1" }, block = { "threads", "1", "1" },
                     shared = "0" } } },
    { name = "rows", file = "1_rows.c.in", kind = "cpu", needs = {},
      tunables = { { "rows", { 1, 8 } } },
      default = { rows = 8 },
      workspace = "0",
      launches = { { entry = "embedding_rows", grid = { "ceil_div(t, rows)", "1", "1" }, scratch = "0" } } },
  },
}
