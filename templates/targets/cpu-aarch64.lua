-- 64-bit Arm with the base vector unit.
return {
  name = "cpu-aarch64", kind = "cpu",
  facts = { vector_bytes = 16, level = 1 },
  options = { "-march=armv8-a" },
}
