-- Index of the largest value of each row: greedy sampling without bringing the logits to the host.
return {
  name = "argmax",
  fields = {
    { "m", "extent" }, -- rows
    { "v", "extent" }, -- values in a row
  },
  tensors = {
    { "x", "in", dtype = "fp32", shape = { "m", "v" }, pitch = "x_pitch" },
    { "out", "out", dtype = "int32", shape = { "1", "m" } },
  },
  scalars = {},
  lanes = "m",
  cache = "warm", -- the launch before has just written the inputs
  work = { flops = "0", bytes = "4*m*v + 4*m" },
  tolerance = { int32 = { rtol = 0, atol = 0, norm = 0 } },
  cap = 64,
  versions = {
    { name = "block_row", file = "1_block_row.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 128, 256, 512, 1024 } } },
      workspace = "0",
      launches = { { entry = "argmax_block_row", grid = { "m", "1", "1" }, block = { "threads", "1", "1" },
                     shared = "0" } } },
    -- chunk: values a block looks at.
    { name = "split", file = "2_split.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 128, 256, 512 } }, { "chunk", { 1024, 2048, 4096, 8192, 16384 } } },
      default = { threads = 256, chunk = 4096 },
      constraints = { "chunk >= 4 * threads" },
      workspace = "8 * m * ceil_div(v, chunk)",
      launches = {
        { entry = "argmax_split", grid = { "m * ceil_div(v, chunk)", "1", "1" }, block = { "threads", "1", "1" },
          shared = "0" },
        { entry = "argmax_combine", grid = { "m", "1", "1" }, block = { "32", "1", "1" }, shared = "0" },
      } },
    { name = "chunks", file = "1_chunks.c.in", kind = "cpu", needs = {},
      tunables = { { "chunk", { 4096, 16384, 65536 } } },
      default = { chunk = 16384 },
      workspace = "8 * m * ceil_div(v, chunk)",
      launches = {
        { entry = "argmax_chunks", grid = { "m * ceil_div(v, chunk)", "1", "1" }, scratch = "0" },
        { entry = "argmax_combine", grid = { "m", "1", "1" }, scratch = "0" },
      } },
  },
}
