-- Rotary position embedding of q and k, fused with the write into the key and value cache. README.md has the formula.
local exact = { rtol = 0, atol = 0, norm = 0 }
local heads = "(hq + hkv + cache*hkv)" -- of a row: q, k, and v where it is copied

return {
  name = "rotary",
  fields = {
    { "m", "extent" },     -- rows (tokens, patches)
    { "hq", "extent" },    -- query heads
    { "hkv", "extent" },   -- key and value heads
    { "slots", "extent" }, -- rows of the cache; 0 without one
    { "p", "extent" },     -- rows of the table of angles
    { "s0", "extent" },    -- first frequency of axis 1
    { "s1", "extent" },    -- first frequency of axis 2
    { "head_dim", "spec", { 16, 32, 64, 80, 128 } },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },
    { "cache", "spec", { 0, 1 }, default = 1 },
  },
  domain = { "cache == 1 and slots >= m or cache == 0 and slots == 0", "p >= 1 and s0 <= s1" },
  tensors = {
    { "q", "in", dtype = "dtype", shape = { "m", "hq*head_dim" }, pitch = "q_pitch" },
    { "k", "in", dtype = "dtype", shape = { "m", "hkv*head_dim" }, pitch = "k_pitch" },
    { "v", "in", dtype = "dtype", shape = { "m", "hkv*head_dim" }, pitch = "v_pitch", when = "cache == 1" },
    { "cos_sin", "in", dtype = "fp32", shape = { "p", "head_dim" }, init = { "uniform", -1, 1 } },
    { "positions", "in", dtype = "int32", shape = { "3", "m" }, pitch = "positions_pitch", init = { "index", "p" } },
    { "slot", "in", dtype = "int32", shape = { "1", "m" }, when = "cache == 1", init = { "distinct", "slots" } },
    { "q_out", "out", dtype = "dtype", shape = { "m", "hq*head_dim" }, pitch = "q_out_pitch" },
    { "k_out", "out", dtype = "dtype", shape = { "cache == 1 and slots or m", "hkv*head_dim" }, pitch = "k_out_pitch" },
    { "v_out", "out", dtype = "dtype", shape = { "slots", "hkv*head_dim" }, pitch = "v_out_pitch", when = "cache == 1",
      tolerance = { fp32 = exact, bf16 = exact, fp16 = exact } },
  },
  scalars = {},
  lanes = "m*" .. heads,
  cache = "warm", -- the launch before has just written the inputs
  work = {
    flops = "3*m*(hq + hkv)*head_dim",
    bytes = "2*bytes(dtype)*m*head_dim*" .. heads .. " + 4*m*(head_dim + 3 + cache)",
  },
  tolerance = {
    fp32 = { rtol = 1e-6, atol = 1e-6, norm = 5e-7 },
    bf16 = { rtol = 8e-3, atol = 1e-5, norm = 4e-3 },
    fp16 = { rtol = 1e-3, atol = 1e-5, norm = 5e-4 },
  },
  cap = 40,
  versions = {
    -- vec: pairs a thread. heads: heads a thread turns by the angles it has loaded.
    { name = "pairs", file = "1_pairs.cu.in", kind = "cuda", needs = {},
      tunables = { { "threads", { 64, 128, 256 } }, { "vec", { 2, 4, 8 } }, { "heads", { 1, 2, 4, 8 } } },
      default = { threads = 128, vec = "16 // bytes(dtype)", heads = 2 },
      constraints = { "vec * bytes(dtype) <= 16" },
      workspace = "0",
      launches = { { entry = "rotary_pairs",
                     grid = { "ceil_div(m * ceil_div(" .. heads .. ", heads) * (head_dim // 2 // vec), threads)", "1", "1" },
                     block = { "threads", "1", "1" }, shared = "0" } } },
    { name = "rows", file = "1_rows.c.in", kind = "cpu", needs = {},
      tunables = { { "rows", { 1, 4, 16 } } },
      default = { rows = 4 },
      workspace = "0",
      launches = { { entry = "rotary_rows", grid = { "ceil_div(m, rows)", "1", "1" }, scratch = "4 * head_dim" } } },
  },
}
