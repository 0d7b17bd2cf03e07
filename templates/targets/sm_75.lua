-- Turing. Facts: CUDA programming guide, compute capability table. 64 KiB of shared memory a block.
return {
  name = "sm_75", kind = "cuda",
  facts = { compute_capability = 75, shared_block_bytes = 65536, shared_sm_bytes = 65536, registers_sm = 65536, threads_sm = 1024,
            sm_count = 40, blocks_sm = 16, clock_mhz = 1590 }, -- predictions are for the Tesla T4
  has = { "mma_m16n8k8_fp16", "ldmatrix", "tanh_approx" },
  options = { "--gpu-architecture=sm_75" },
}
