-- x86-64 level 4 of the System V psABI: AVX-512 F, BW, CD, DQ, VL.
return {
  name = "cpu-x86-64-v4", kind = "cpu", parent = "cpu-x86-64-v3",
  facts = { vector_bytes = 64, level = 4 },
  options = { "-march=x86-64-v4", "-mprefer-vector-width=512" },
}
