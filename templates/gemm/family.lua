-- Matrix product with a fused end: out = act(x * w^T + bias) + residual (README.md).
-- Costs (tuner/rank.c): cycles fitted to an H100's times. A block of mma.sync tiles waits for its k steps; what its warps
-- share is the tensor unit (2700 FLOP a cycle through mma.sync) and the shared memory that feeds it.
local function mma_cost(k)
  return { latency = "5000 + 100*ceil_div(" .. k .. ", bk) + 0.035*" .. k .. "*bm*bn/(warps_m*warps_n)",
           issue = k .. "*(0.00075*bm*bn + 0.015*(bm + bn))" }
end

-- A block of wgmma walks over its tiles; a step waits for L2 or for the tensor unit (4096 FLOP a cycle), whichever is longer.
local wgmma_tiles = "ceil_div(ceil_div(m, bm)*ceil_div(n, bn), blocks*sm_count)"
local wgmma_step = "max(bm*bn/32, (bm + bn)*3.5)" -- cycles of a step: the tensor unit or L2
local wgmma_cost = {
  latency = "3000 + " .. wgmma_tiles .. "*(ceil_div(k, 64)*max(780, " .. wgmma_step .. ")*(0.9 + 0.4/stages) + 2000 + bm*bn/8)",
  issue = wgmma_tiles .. "*(ceil_div(k, 64)*" .. wgmma_step .. " + 500 + bm*bn/8)",
}

-- swiglu makes one column of out of two rows of w.
local columns = "(act == 'swiglu' and n // 2 or n)"

return {
  name = "gemm",
  fields = {
    { "m", "extent" },                                -- rows of x and out
    { "n", "extent" },                                -- rows of w, columns of out
    { "k", "extent" },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },  -- of x and w
    { "out", "spec", { "fp32", "bf16", "fp16" } },    -- of out and residual
    { "act", "spec", { "none", "silu", "gelu", "quick_gelu", "softplus", "swiglu" }, default = "none" },
  },
  domain = { "act ~= 'swiglu' or n % 2 == 0" },
  tensors = {
    { "x", "in", dtype = "dtype", shape = { "m", "k" }, pitch = "x_pitch", init = { "normal", 0, 1 } },
    { "w", "in", dtype = "dtype", shape = { "n", "k" }, pitch = "w_pitch", init = { "normal", 0, 0.05 } },
    { "bias", "in", dtype = "fp32", shape = { "1", "n" }, optional = true, init = { "normal", 0, 1 } },
    { "residual", "in", dtype = "out", shape = { "m", columns }, pitch = "residual_pitch", optional = true,
      init = { "normal", 0, 1 } },
    { "out", "out", dtype = "out", shape = { "m", columns }, pitch = "out_pitch" },
  },
  lanes = "m * " .. columns,
  work = { flops = "2*m*n*k", bytes = "bytes(dtype)*(m*k + n*k) + 2*bytes(out)*m*" .. columns .. " + 4*n" },
  -- fp32: one running sum of k terms is off by about 2.4e-8 * sqrt(k / 2) of its size (a rounding error is 2.4e-8 of the
  -- value on average): 1.6e-6 at k = 9000. tf32 would be off by 3e-4. Tensor cores, which take 16-bit inputs only, cut their
  -- sums off instead of rounding them, which adds up with k: on an H100 all elements together are off by 5.2e-6 at k = 5120,
  -- a single one by 1.3e-5 at 8960 and by 4.7e-5 at 18944, the longest k of the models.
  tolerance = {
    fp32 = { rtol = 1e-4, atol = "dtype == 'fp32' and 1e-5 or 1e-5 + 4e-9*k", norm = "dtype == 'fp32' and 4e-6 or 4e-6 + 1e-9*k" },
    bf16 = { rtol = 8e-3, atol = 8e-3, norm = 4e-3 },
    fp16 = { rtol = 1e-3, atol = 1e-3, norm = 5e-4 },
  },
  regret = 0.03, -- `tune regret`: median of 17 problems on an H200
  cap = 300,
  versions = {
    -- First, so that its default is the one wherever tensor cores take the types; tiled is everybody else's.
    { name = "mma", file = "2_mma.cu.in", kind = "cuda", needs = { "ldmatrix" },
      tunables = { { "bm", { 16, 32, 64, 128, 256 } }, { "bn", { 32, 64, 128, 256 } }, { "warps_m", { 1, 2, 4 } },
                   { "warps_n", { 1, 2, 4 } }, { "bk", { 32, 64 } }, { "stages", { 2, 3, 4 } } },
      default = { bm = 64, bn = 64, warps_m = 2, warps_n = 2, bk = 32, stages = 4 },
      constraints = {
        "dtype == 'fp16' or dtype == 'bf16' and has('mma_m16n8k16')",
        "bm >= 16 * warps_m",
        "warps_m * warps_n == 4 or warps_m * warps_n == 8",
        "bn >= 16 * warps_n",
        "bm <= 64 * warps_m and bn <= 64 * warps_n",                -- a warp's sums: at most 128 registers a thread
        "bm <= 32 or bm >= 32 * warps_m and bn >= 32 * warps_n",    -- and not so few that shared loads dominate
        -- k under way: less does not cover a load; more costs a resident block and won on no shape of either model (H100).
        "bk * stages >= 96 and bk * stages <= 128",
        "warps_n >= warps_m or bm == 256",                          -- nor did a warp grid that is taller than wide
        "stages * (bm + bn) * bk * 2 <= shared_block_bytes",
        "warps_m * (bn + 8 * warps_n) * 64 <= shared_block_bytes",
      },
      workspace = "0",
      launches = { { entry = "gemm_mma", grid = { "ceil_div(m, bm)", "ceil_div(n, bn)", "1" },
                     block = { "32 * warps_m * warps_n", "1", "1" },
                     shared = "max(stages * (bm + bn) * bk * 2, warps_m * (bn + 8 * warps_n) * 64)",
                     cost = mma_cost("k") } } },

    { name = "tiled", file = "1_tiled.cu.in", kind = "cuda", needs = {},
      tunables = { { "bm", { 32, 64, 128 } }, { "bn", { 32, 64, 128 } }, { "bk", { 8, 16 } }, { "tm", { 4, 8 } }, { "tn", { 4, 8 } } },
      default = { bm = 64, bn = 64, bk = 16, tm = 4, tn = 4 },
      constraints = {
        "bm * bn >= 64 * tm * tn and bm * bn <= 256 * tm * tn",     -- threads
        "dtype == 'fp32' or bm == 64 and bn == 64 and bk == 16",    -- for 16-bit types a reference, not a contender
      },
      workspace = "0",
      launches = { { entry = "gemm_tiled", grid = { "ceil_div(m, bm)", "ceil_div(n, bn)", "1" },
                     block = { "bm * bn // (tm * tn)", "1", "1" }, shared = "0",
                     -- one multiply-add a lane and cycle; alone, a warp waits for shared memory at each k
                     cost = { latency = "3000 + k*(30 + 2.2*tm*tn)", issue = "k*bm*bn/110" } } } },

    -- The smaller tiles only: with large ones there is nothing left to split for. Two parts never paid for their combining.
    { name = "mma_split_k", file = "3_mma_split_k.cu.in", kind = "cuda", needs = { "ldmatrix" },
      tunables = { { "bm", { 16, 32, 64, 128 } }, { "bn", { 32, 64, 128 } }, { "warps_m", { 1, 2 } }, { "warps_n", { 2, 4 } },
                   { "bk", { 64 } }, { "stages", { 3 } }, { "splits", { 4, 8, 16 } } },
      constraints = {
        "dtype == 'fp16' or dtype == 'bf16' and has('mma_m16n8k16')",
        "bm >= 16 * warps_m",
        "warps_m * warps_n == 4",
        "bn >= 16 * warps_n",
        "bm <= 64 * warps_m and bn <= 64 * warps_n",
        "bm <= 32 or bm >= 32 * warps_m and bn >= 32 * warps_n",
        "stages * (bm + bn) * bk * 2 <= shared_block_bytes",
      },
      workspace = "4 * splits * m * n",
      launches = {
        { entry = "gemm_mma_partial", grid = { "ceil_div(m, bm)", "ceil_div(n, bn)", "splits" },
          block = { "32 * warps_m * warps_n", "1", "1" },
          shared = "max(stages * (bm + bn) * bk * 2, warps_m * (bn + 8 * warps_n) * 64)",
          cost = mma_cost("ceil_div(k, splits)") },
        { entry = "gemm_combine", grid = { "m", "ceil_div(n, act == 'swiglu' and 512 or 256)", "1" },
          block = { "256", "1", "1" }, shared = "0",
          cost = { latency = "1000 + 30*splits", issue = "40 + 20*splits" } },
      } },

    -- bm / 64 warpgroups multiply, one more copies. blocks: of an SM. Cost: a step moves its operands from L2 (36 bytes a cycle
    -- and SM), a tile ends with its stores.
    { name = "wgmma", file = "4_wgmma.cu.in", kind = "cuda", needs = { "wgmma", "setmaxnreg", "tma" },
      tunables = { { "bm", { 64, 128, 192 } }, { "bn", { 64, 96, 128, 160, 192, 256 } }, { "stages", { 3, 4, 6 } },
                   { "blocks", { 1, 2 } } },
      constraints = {
        "dtype == 'fp16' or dtype == 'bf16'",
        "(bm // 64) * blocks <= 3",                                 -- registers
        "bm < 192 or bn >= 128 and bn <= (act == 'gelu' and 128 or 192)",
        "stages * (bm + bn) >= 768",                                -- bytes under way: 96 KiB
        "blocks * (stages * (bm + bn) * 128 + bm * 128 + 16 * stages + 1024) <= shared_sm_bytes",
      },
      workspace = "0",
      launches = { { entry = "gemm_wgmma", grid = { "min(blocks * sm_count, ceil_div(m, bm) * ceil_div(n, bn))", "1", "1" },
                     block = { "2 * bm + 128", "1", "1" }, shared = "stages * (bm + bn) * 128 + bm * 128 + 16 * stages",
                     maps = { { "x", box = { "64", "bm" } }, { "w", box = { "64", "bn" } } },
                     cost = wgmma_cost } } },

    -- mr: rows of x in registers. 16 vector registers hold 12 sums and what feeds them, the 32 of 64-byte vectors twice that.
    { name = "dot", file = "1_dot.c.in", kind = "cpu", needs = {},
      tunables = { { "mr", { 2, 3, 4, 6 } }, { "bm", { 24, 96 } }, { "bn", { 32, 128 } } },
      default = { mr = "vector_bytes == 64 and 6 or 3", bm = 24, bn = 32 },
      constraints = { "mr <= 4 or vector_bytes == 64" },
      workspace = "0",
      launches = { { entry = "gemm_dot", grid = { "ceil_div(m, bm)", "ceil_div(n, bn)", "1" }, scratch = "4 * bm * bn" } } },

    { name = "packed", file = "2_packed.c.in", kind = "cpu", needs = {},
      tunables = { { "mr", { 4, 6, 8, 12 } }, { "nv", { 2, 3 } }, { "panels", { 2 } }, { "bm", { 96, 384 } }, { "bk", { 256 } } },
      constraints = { "mr * nv == (vector_bytes == 64 and 24 or 12)" },
      workspace = "0",
      launches = { { entry = "gemm_packed",
                     grid = { "ceil_div(m, bm)", "ceil_div(n, panels * nv * vector_bytes // 4)", "1" },
                     scratch = "nv * vector_bytes * (bm * panels + bk) + 4 * bm * (bk + 16)" } } },
  },
}
