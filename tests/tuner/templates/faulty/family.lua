local faults = { "none", "element", "past_end", "between_rows", "unwritten", "input", "workspace", "reads_padding", "crash",
                 "hang", "compile", "template", "slow" }

-- y = 2 x, right with fault = "none"; every other value of `fault` is one way in which a candidate goes wrong.
return {
  name = "faulty",
  fields = {
    { "m", "extent" },
    { "k", "extent" },
    { "dtype", "spec", { "fp32" }, default = "fp32" },
  },
  tensors = {
    { "x", "in", dtype = "dtype", shape = { "m", "k" }, pitch = "x_pitch", init = { "normal", 0, 1 } },
    { "y", "out", dtype = "dtype", shape = { "m", "k" }, pitch = "y_pitch" },
  },
  lanes = "m",
  work = { flops = "m*k", bytes = "8*m*k" },
  tolerance = { fp32 = { rtol = 1e-6, atol = 1e-6, norm = 1e-6 } },
  cap = 20,
  versions = {
    { name = "rows", file = "1_rows.c.in", kind = "cpu", needs = {},
      tunables = { { "fault", faults } },
      default = { fault = "none" },
      workspace = "64",
      launches = { { entry = "faulty_rows", grid = { "m", "1", "1" }, scratch = "0" } } },
    { name = "gpu_rows", file = "1_rows.cu.in", kind = "cuda", needs = {},
      tunables = { { "fault", { "assert", table.unpack(faults) } } },
      default = { fault = "none" },
      workspace = "64",
      launches = { { entry = "faulty_rows", grid = { "m", "1", "1" }, block = { "32", "1", "1" }, shared = "0" } } },
  },
}
