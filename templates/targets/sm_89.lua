-- Ada.
return {
  name = "sm_89", kind = "cuda", parent = "sm_86",
  facts = { compute_capability = 89 },
  options = { "--gpu-architecture=sm_89" },
}
