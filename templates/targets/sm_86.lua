-- Ampere consumer and A40: less shared memory and fewer threads than sm_80.
return {
  name = "sm_86", kind = "cuda", parent = "sm_80",
  facts = { compute_capability = 86, shared_block_bytes = 101376, shared_sm_bytes = 102400, threads_sm = 1536,
            sm_count = 82, blocks_sm = 16, clock_mhz = 1695 }, -- predictions are for the GeForce RTX 3090
  options = { "--gpu-architecture=sm_86" },
}
