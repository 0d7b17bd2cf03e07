return {
  verify = { { n = 0 }, { n = 1 }, { n = 77 } },
  smoke = { "stepped n=7" },
  model = { "stepped n=256", "stepped n=65536" },
}
