-- Ada.
return {
  name = "sm_89", kind = "cuda", parent = "sm_86",
  facts = { compute_capability = 89,
            sm_count = 128, blocks_sm = 24, clock_mhz = 2520 }, -- predictions are for the GeForce RTX 4090
  options = { "--gpu-architecture=sm_89" },
}
