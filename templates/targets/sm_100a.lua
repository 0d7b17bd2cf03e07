-- Blackwell data centre. wgmma is gone (tcgen05 replaces it), so its parent is sm_80.
return {
  name = "sm_100a", kind = "cuda", parent = "sm_80",
  facts = { compute_capability = 100, shared_block_bytes = 232448, shared_sm_bytes = 233472, threads_sm = 2048,
            driver_min = 12080, -- CUDA 12.8 (570) was the first to know Blackwell
            sm_count = 148, blocks_sm = 32, clock_mhz = 1850 }, -- predictions are for the B200
  has = { "tma", "setmaxnreg", "dependent_launch" },
  options = { "--gpu-architecture=sm_100a" },
}
