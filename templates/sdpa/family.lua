-- Scaled dot-product attention of many queries: prefill of text (causal, grouped heads), vision (full, varlen).
-- Costs (tuner/rank.c). Keys that a block walks: with causal masking half of the square is never touched, but where all blocks run at
-- once the longest says how long it takes.
local walked = "(causal == 1 and b*hq*ceil_div(lq, 16*tiles*warps) > sm_count and max(lk - lq/2, keys) or lk)"

-- Version wgmma. Shared memory: two tiles of Q, the ring, its barriers, what is said of the tiles.
local wgmma_shared = "128 * ceil_div(head_dim, 64) * (128 * groups + stages * keys) + 16 * stages + 144 + 272 * varlen"
-- Tiles of queries, cycles of the steps of the longest.
local query_tiles = "b*hq*ceil_div(lq, 64*groups)"
local steps = "ceil_div(lk, keys)*(250 + keys*(groups == 3 and 1.46 or 1)*(9.5 + head_dim/19)*" ..
  "(turns == 0 and keys >= 128 and 1.15 or 1))"

return {
  name = "sdpa",
  fields = {
    { "b", "extent" },   -- sequences
    { "lq", "extent" },  -- queries of a sequence (varlen: most of any)
    { "lk", "extent" },  -- keys of a sequence (varlen: most of any)
    { "hq", "extent" },  -- query heads
    { "hkv", "extent" }, -- key and value heads
    { "head_dim", "spec", { 32, 64, 80, 128 } },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },
    { "causal", "spec", { 0, 1 } },
    { "varlen", "spec", { 0, 1 }, default = 0 },
  },
  domain = { "hkv >= 1 and hq % hkv == 0" },
  tensors = {
    { "q", "in", dtype = "dtype", shape = { "b*lq", "hq*head_dim" }, pitch = "q_pitch" },
    { "k", "in", dtype = "dtype", shape = { "b*lk", "hkv*head_dim" }, pitch = "k_pitch" },
    { "v", "in", dtype = "dtype", shape = { "b*lk", "hkv*head_dim" }, pitch = "v_pitch" },
    { "cu_q", "in", dtype = "int32", shape = { "1", "b + 1" }, when = "varlen == 1", init = { "offsets", "lq" } },
    { "cu_k", "in", dtype = "int32", shape = { "1", "b + 1" }, when = "varlen == 1", init = { "offsets", "lk" } },
    { "out", "out", dtype = "dtype", shape = { "b*lq", "hq*head_dim" }, pitch = "out_pitch" },
  },
  scalars = { { "scale", "head_dim^-0.5" } },
  lanes = "b*lq*hq", -- varlen: rows past the last sequence are lanes that do nothing
  cache = "warm", -- the launch before has just written the inputs
  work = {
    -- causal: the visible pairs, n*lk - n*(n-1)/2 with n = min(lq, lk)
    flops = "4*b*hq*head_dim*(causal == 1 and min(lq, lk)*lk - min(lq, lk)*(min(lq, lk) - 1)//2 or lq*lk)",
    bytes = "2*bytes(dtype)*head_dim*b*(lq*hq + lk*hkv)",
  },
  tolerance = {
    -- The verify list has scores of magnitude 500: rounded to fp32 they are off by 3e-5 and their sums by a few times
    -- that, which is then the relative error of the exponential.
    fp32 = { rtol = 1e-4, atol = 2e-4, norm = 3e-5 },
    bf16 = { rtol = 1e-2, atol = 1.5e-2, norm = 6e-3 },
    fp16 = { rtol = 2e-3, atol = 3e-3, norm = 1e-3 },
  },
  regret = 0.08, -- `tune regret`: median of 15 problems on an H200, not the ones that the constants were fitted to
  cap = 200,
  versions = {
    -- First, so that its default is the one wherever matrix instructions take the type; simple is everybody else's.
    -- tiles: 16-row tiles of queries a warp. keys: keys a step. stages: buffers of K and of V. q_regs: Q
    -- fragments live in registers (or are read again each step). A row of 80 elements has a pitch of 88 in shared memory.
    { name = "flash", file = "2_flash.cu.in", kind = "cuda", needs = { "ldmatrix" },
      tunables = { { "warps", { 4, 8 } }, { "tiles", { 1, 2 } }, { "keys", { 32, 64, 128 } }, { "stages", { 1, 2 } },
                   { "q_regs", { 0, 1 } } },
      default = { warps = 4, tiles = 1, keys = 64, stages = 'has("cp_async") and 2 or 1', q_regs = 1 },
      constraints = {
        'dtype == "fp16" or dtype == "bf16" and has("mma_m16n8k16")',
        'stages == 1 or has("cp_async")',
        -- Registers: beyond these something spills on some target (ptxas 13.0).
        "tiles == 1 or keys <= 64 and (head_dim < 128 or q_regs == 0)",
        "head_dim < 128 or keys < 128 or q_regs == 0 or stages == 1",
        "2 * (head_dim == 80 and 88 or head_dim) * (16 * tiles * warps + 2 * stages * keys) <= shared_block_bytes",
      },
      workspace = "0",
      launches = { { entry = "sdpa_flash", grid = { "b * hq * ceil_div(lq, 16 * tiles * warps)", "1", "1" },
                     block = { "32 * warps", "1", "1" },
                     shared = "2 * (head_dim == 80 and 88 or head_dim) * (16 * tiles * warps + 2 * stages * keys)",
                     -- a step: its barriers and copies (hidden by a second stage), the products, the exponentials
                     cost = { latency = walked .. "*((stages == 1 and 900 or 400)/keys" ..
                                " + tiles*((0.15 + 0.02*(1 - q_regs))*head_dim + 10))",
                              issue = walked .. "*warps/4*(0.05*head_dim + tiles*(0.05*head_dim + 8))" } } } },
    -- groups: warpgroups of 64 query rows. keys: keys a step. stages: tiles of K or V in the ring. turns: one warpgroup starts
    -- its products after another.
    { name = "wgmma", file = "3_wgmma.cu.in", kind = "cuda", needs = { "wgmma", "setmaxnreg", "tma" },
      tunables = { { "groups", { 2, 3 } }, { "keys", { 64, 96, 128, 160 } }, { "stages", { 5, 6 } }, { "turns", { 0, 1 } } },
      constraints = {
        "dtype == 'fp16' or dtype == 'bf16'",
        -- Registers for scores, weights and output: 232 a thread with two groups, 160 with three.
        "groups == 2 or keys <= 96 and head_dim <= 80",
        "keys <= 128 or head_dim <= 80",
        "turns == 1 or groups == 2 and (keys < 128 or head_dim <= 80) or groups == 3 and keys < 96",
        wgmma_shared .. " <= shared_block_bytes",
      },
      workspace = "0",
      launches = { { entry = "sdpa_wgmma", grid = { "min(b * hq * ceil_div(lq, 64 * groups), sm_count)", "1", "1" },
                     block = { "128 * groups + 128", "1", "1" },
                     shared = wgmma_shared,
                     maps = { { "q", part = "head_dim", box = { "64", "64 * groups" } },
                              { "k", part = "head_dim", box = { "64", "keys" } },
                              { "v", part = "head_dim", box = { "64", "keys" } } },
                     -- A block's tiles, or the longest one; cycles of a tile and of its steps as measured on an H200: what the
                     -- tensor cores leave, the exponentials take.
                     cost = { latency = "4000 + max(" .. steps .. ", ceil_div(" .. query_tiles .. ", sm_count)*(2500 + " ..
                                "(causal == 1 and 0.5 or 1)*" .. steps .. "))", issue = "0" } } } },
    -- rows: query rows a warp
    { name = "simple", file = "1_simple.cu.in", kind = "cuda", needs = {},
      tunables = { { "warps", { 4, 8 } }, { "rows", { 1, 2, 4 } } },
      default = { warps = 4, rows = 4 },
      constraints = { "4 * head_dim * (warps * rows + 64) + 512 <= 49152" }, -- shared memory that needs no opting in
      workspace = "0",
      launches = { { entry = "sdpa_simple", grid = { "b * hq * ceil_div(lq, warps * rows)", "1", "1" },
                     block = { "32 * warps", "1", "1" }, shared = "0",
                     cost = { latency = "2000 + (causal == 1 and max(lk - lq/2, 64) or lk)*rows*head_dim/8",
                              issue = "(causal == 1 and max(lk - lq/2, 64) or lk)*rows*warps*head_dim/40" } } } },
    { name = "tiles", file = "1_tiles.c.in", kind = "cpu", needs = {},
      tunables = { { "rows", { 8, 16, 32, 64 } }, { "keys", { 32, 64, 128 } } },
      default = { rows = 32, keys = 64 },
      workspace = "0",
      launches = { { entry = "sdpa_tiles", grid = { "b * hq * ceil_div(lq, rows)", "1", "1" },
                     scratch = "4 * (2 * rows * head_dim + 2 * keys * head_dim + rows * keys + 2 * rows)" } } },
  },
}
