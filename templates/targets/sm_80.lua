-- Ampere A100: asynchronous copies, bf16, m16n8k16 matrix instructions.
return {
  name = "sm_80", kind = "cuda", parent = "sm_75",
  facts = { compute_capability = 80, shared_block_bytes = 166912, shared_sm_bytes = 167936, threads_sm = 2048,
            sm_count = 108, blocks_sm = 32, clock_mhz = 1410 }, -- predictions are for the A100 SXM 40 GB
  has = { "cp_async", "bf16_cvt", "mma_m16n8k16", "mma_tf32" },
  options = { "--gpu-architecture=sm_80" },
}
