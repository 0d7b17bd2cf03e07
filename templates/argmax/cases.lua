-- Ties: constant rows must give 0. Random rows of fp32 have none, so the position must match exactly.
return {
  verify = {
    { m = 1, v = 1 },
    { m = 5, v = 31, pad = 1 },
    { m = 3, v = 4096 },
    { m = 2, v = 16385, pad = 2, note = "one past a chunk; no row but the first is aligned" },
    { m = 1, v = 50280 },
    { m = 37, v = 257, pad = 4 },
    { m = 300, v = 5, note = "the largest first and last, in a fifth of the rows each" },
    { m = 0, v = 8, note = "nothing to do" },
    { m = 3, v = 20011, init = { x = { "uniform", -2, -2 } }, note = "all equal: the lowest index wins" },
    { m = 3, v = 9001, init = { x = { "index", 3 } }, note = "thousands of ties for the largest" },
    { m = 2, v = 5000, init = { x = { "uniform", -1e30, -1e29 } }, note = "all very negative" },
  },
  smoke = { "argmax m=3 v=1000" },
  model = { "argmax m=1 v=50280", "argmax m=8 v=50280", "argmax m=1 v=151936" },
}
