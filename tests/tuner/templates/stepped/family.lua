-- y = 2 x by one of two ways, each slow where the other is fast: what a tuned point says of other lengths is wrong
-- between 4097 and 8192.
return {
  name = "stepped",
  fields = { { "n", "extent" }, { "dtype", "spec", { "fp32" }, default = "fp32" } },
  tensors = {
    { "x", "in", dtype = "dtype", shape = { "1", "n" }, init = { "normal", 0, 1 } },
    { "y", "out", dtype = "dtype", shape = { "1", "n" } },
  },
  lanes = "n",
  work = { flops = "n", bytes = "8*n" },
  tolerance = { fp32 = { rtol = 1e-6, atol = 1e-6, norm = 1e-6 } },
  cap = 4,
  versions = {
    { name = "whole", file = "1_whole.c.in", kind = "cpu", needs = {},
      tunables = { { "way", { 1, 2 } } },
      default = { way = 1 },
      workspace = "0",
      launches = { { entry = "stepped_whole", grid = { "min(n, 1)", "1", "1" }, scratch = "0" } } },
  },
}
