-- Attention of one query row a sequence against a cache of keys and values (decoding). README.md has the formula.
-- Partial results of the splits, fp32: each head's head_dim sums, its maximum and its total.
local partials = "4 * splits * b * hkv * group * (head_dim + 2)"
-- 16-byte pieces of K and V of a lane; its queries and sums, 8 or 4 columns of each head; scores. Beyond this something
-- spills on some target (ptxas 13.0).
local registers = "2*group*(16 // bytes(dtype)) + unroll*(8 + group) <= 190"
-- In 16 bits searches that had the choice took matrix instructions at every shape (H200).
local without_mma = 'dtype == "fp32" or not has("mma_m16n8k16")'

-- Version mma. Bytes of a key, K and V; with the pitch of 88 that a row of 80 elements has in shared memory.
local key_bytes, padded_bytes = "(4 * head_dim)", "(4 * (head_dim == 80 and 88 or head_dim))"
-- Keys of a block, in whole steps.
local walked = "(ceil_div(ceil_div(lk, splits), warps * keys) * warps * keys)"
-- Bytes a cycle that memory gives an SM (data sheets: H200, A100, GeForce), and the latency that hides behind bytes in flight.
local memory_speed = '(has("tma") and 20 or shared_block_bytes > 110000 and 10 or 5)'
local load_latency = 1400

return {
  name = "sdpa_decode",
  fields = {
    { "b", "extent" },               -- sequences, a query row each
    { "lk", "extent" },              -- most keys of a sequence
    { "hkv", "extent" },             -- key and value heads
    { "slots", "extent" },           -- rows of the cache
    { "group", "spec", "1..8" },     -- query heads of a key head
    { "head_dim", "spec", { 32, 64, 80, 128 } },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },
  },
  domain = { "slots >= lk" },
  tensors = {
    { "q", "in", dtype = "dtype", shape = { "b", "hkv*group*head_dim" }, pitch = "q_pitch" },
    { "k", "in", dtype = "dtype", shape = { "slots", "hkv*head_dim" }, pitch = "k_pitch" },
    { "v", "in", dtype = "dtype", shape = { "slots", "hkv*head_dim" }, pitch = "v_pitch" },
    { "k_begin", "in", dtype = "int32", shape = { "1", "b" },
      init = { "offsets", "b > 1 and (slots - lk) // (b - 1) or 0" } }, -- timed side by side: what is shared would be read once
    { "k_len", "in", dtype = "int32", shape = { "1", "b" }, init = { "uniform", "lk", "lk" } }, -- timed at full length
    { "counters", "inout", dtype = "int32", shape = { "1", "b*hkv" }, init = { "uniform", 0, 0 }, -- zeros, before and after
      tolerance = { int32 = { rtol = 0, atol = 0, norm = 0 } } },
    { "out", "out", dtype = "dtype", shape = { "b", "hkv*group*head_dim" }, pitch = "out_pitch" },
  },
  scalars = { { "scale", "head_dim^-0.5" } },
  lanes = "b*hkv*group",
  work = {
    flops = "4*b*hkv*group*head_dim*lk",
    bytes = "2*bytes(dtype)*b*hkv*head_dim*(lk + group)",
  },
  tolerance = { -- sdpa's: large scores rounded to fp32 are a relative error of their exponentials
    fp32 = { rtol = 1e-4, atol = 2e-4, norm = 3e-5 },
    bf16 = { rtol = 1e-2, atol = 1.5e-2, norm = 6e-3 },
    fp16 = { rtol = 2e-3, atol = 3e-3, norm = 1e-3 },
  },
  regret = 0.17, -- `tune regret`: median of 11 problems on an H200
  cap = 200,
  versions = {
    -- First, so that its default is the one wherever matrix instructions take the type; split is everybody else's.
    -- keys: keys a warp and step. stages: tiles of K and of V in a warp's ring. splits: pieces that the keys of a sequence
    -- are cut into, a block each.
    { name = "mma", file = "3_mma.cu.in", kind = "cuda", needs = { "ldmatrix", "cp_async", "mma_m16n8k16" },
      tunables = { { "warps", { 4, 8 } }, { "keys", { 16, 32 } }, { "stages", { 2, 3, 4, 6 } },
                   { "splits", { 1, 2, 4, 8, 16, 32, 48, 64, 128 } } },
      default = { warps = 4, keys = 16, stages = 3, splits = 32 },
      constraints = {
        'dtype == "fp16" or dtype == "bf16"',
        "warps * keys * stages <= 512", -- keys in flight of a block: beyond, only the rings' beginning takes longer
        "warps * keys * stages * " .. padded_bytes .. " <= shared_block_bytes",
      },
      workspace = "4 * (splits > 1 and splits or 0) * b * hkv * group * (head_dim + 2)",
      launches = {
        { entry = "sdpa_decode_mma", grid = { "b * hkv * splits", "1", "1" }, block = { "32 * warps", "1", "1" },
          shared = "warps * keys * stages * " .. padded_bytes,
          -- the first loads; the block's keys, by bytes in flight; joining through the workspace
          cost = { latency = "3500 + " .. walked .. " * " .. key_bytes .. " / min(48, warps * keys * (stages - 1) * " ..
                             key_bytes .. " / " .. load_latency .. ") + (splits > 1 and 2500 + splits * group * head_dim / 12 or 0)",
                   issue = "lk / splits * " .. key_bytes .. " / " .. memory_speed } },
      } },
    -- splits: pieces that the keys of a sequence are cut into, a block each. unroll: keys in flight of a lane.
    { name = "split", file = "2_split.cu.in", kind = "cuda", needs = {},
      tunables = { { "warps", { 4, 8 } }, { "unroll", { 1, 2, 4 } }, { "splits", { 4, 8, 16, 32, 64, 128 } } },
      default = { warps = 4, unroll = 2, splits = 32 },
      constraints = { registers, without_mma },
      workspace = partials,
      launches = {
        { entry = "sdpa_decode_split", grid = { "b * hkv * splits", "1", "1" }, block = { "32 * warps", "1", "1" }, shared = "0" },
        { entry = "sdpa_decode_combine", grid = { "b * hkv * group", "1", "1" }, block = { "head_dim", "1", "1" }, shared = "0" },
      } },
    { name = "one_pass", file = "1_one_pass.cu.in", kind = "cuda", needs = {},
      tunables = { { "warps", { 4, 8 } }, { "unroll", { 1, 2, 4 } } },
      constraints = { registers, without_mma },
      workspace = "0",
      launches = { { entry = "sdpa_decode_one_pass", grid = { "b * hkv", "1", "1" }, block = { "32 * warps", "1", "1" },
                     shared = "0" } } },
    { name = "tiles", file = "1_tiles.c.in", kind = "cpu", needs = {},
      tunables = { { "splits", { 1, 4, 16 } }, { "keys", { 16, 64 } } },
      default = { splits = 4, keys = 64 },
      workspace = partials,
      launches = {
        { entry = "sdpa_decode_tiles", grid = { "b * hkv * splits", "1", "1" },
          scratch = "4 * (group * (2 * head_dim + keys) + keys * head_dim)" },
        { entry = "sdpa_decode_combine", grid = { "b * hkv * group", "1", "1" }, scratch = "0" },
      } },
  },
}
