-- Hopper with its own instructions (wgmma, setmaxnreg, bulk tensor copies). Code for it runs on this chip alone.
return {
  name = "sm_90a", kind = "cuda", parent = "sm_80",
  facts = { compute_capability = 90, shared_block_bytes = 232448, shared_sm_bytes = 233472, threads_sm = 2048,
            sm_count = 132, blocks_sm = 32, clock_mhz = 1755 }, -- predictions are for the H100 SXM
  has = { "wgmma", "tma", "setmaxnreg", "dependent_launch" },
  options = { "--gpu-architecture=sm_90a" },
}
