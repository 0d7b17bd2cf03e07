-- Blackwell consumer: the sm_80 instruction set for matrices, shared memory of sm_86.
return {
  name = "sm_120", kind = "cuda", parent = "sm_86",
  facts = { compute_capability = 120, driver_min = 12080, -- as sm_100a
            sm_count = 170, blocks_sm = 24, clock_mhz = 2410 }, -- predictions are for the GeForce RTX 5090
  has = { "dependent_launch" },
  options = { "--gpu-architecture=sm_120" },
}
