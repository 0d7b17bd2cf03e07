return {
  verify = { { m = 3, k = 5, pad = 3 }, { m = 4, k = 64 }, { m = 1, k = 1 } },
  smoke = { "faulty m=3 k=7" },
  model = { "faulty m=16 k=256" },
}
