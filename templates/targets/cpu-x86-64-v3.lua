-- x86-64 level 3 of the System V psABI: AVX2 and FMA.
return {
  name = "cpu-x86-64-v3", kind = "cpu", parent = "cpu-x86-64-v2",
  facts = { vector_bytes = 32, level = 3 },
  options = { "-march=x86-64-v3" },
}
