-- x86-64 level 2 of the System V psABI: SSE4.2.
return {
  name = "cpu-x86-64-v2", kind = "cpu",
  facts = { vector_bytes = 16, level = 2 },
  options = { "-march=x86-64-v2" },
}
