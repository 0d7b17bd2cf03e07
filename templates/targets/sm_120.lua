-- Blackwell consumer: the sm_80 instruction set for matrices, shared memory of sm_86.
return {
  name = "sm_120", kind = "cuda", parent = "sm_86",
  facts = { compute_capability = 120 },
  options = { "--gpu-architecture=sm_120" },
}
