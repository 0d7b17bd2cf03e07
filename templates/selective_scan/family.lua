-- selective_scan: Mamba's recurrence over a whole sequence (prefill). README.md has the formula.

-- Rows of a tensor are steps and its columns channels or states, or the other way round.
local function rows_of(columns)
  local first = 'layout == "channel_first" and '
  return { "b", first .. columns .. " or l", first .. "l or " .. columns }
end

-- Lanes that share a channel by default: four states each, as long as sixteen lanes last; then 32 states each.
local lanes = "n <= 4 and 1 or n <= 8 and 2 or n <= 16 and 4 or n <= 32 and 8 or n <= 64 and 16 or 8"

-- Tunable `warps`: how many of them the compiler must leave registers for on an SM (through __launch_bounds__).
local granted = "registers_sm // (32*warps) // 8 * 8"
-- Registers of a thread, fitted to the compiler's reports: state and A, rows in flight and activated, sums on their way
-- to other lanes (channel_first: of a whole tile, and addresses), B and C in flight, and the rest (long rows of states: more
-- loads that the compiler moves up).
local registers = "2*channels*ceil_div(n, lanes) + 5*channels*(steps // lanes)" ..
                  ' + (layout == "channel_first" and channels*steps + (n > 16 and 4 or 16) or channels*lanes)' ..
                  " + 2*ceil_div(2*n*steps, threads) + (n > 16 and 120 or 42)"

local constraints = {
  "lanes == 1 or 2*lanes <= n",                          -- a lane with one state mostly shuffles
  "lanes < 16 or channels == 1 and steps == 16",
  "steps > 4 or channels == 2",                          -- two channels a thread: more registers a step, and more work between barriers
  "threads <= 128 or n > 16 or channels == 1 and steps == 16 or channels == 2 and steps == 8",
  "channels * ceil_div(n, lanes) <= 32",                 -- states live in registers
  "steps % lanes == 0",
  "2 * n * steps <= 16 * threads",                       -- B and C in flight: at most 16 registers
  '16 * steps * (n + 3 * lanes + (layout == "channel_first" and 4 or 0)) <= 49152', -- two buffers of B and C in static shared memory
  'layout == "channel_last" or steps * bytes(dtype) >= 16', -- less of a row at a time: half of what memory delivers is left
  'layout == "channel_last" or channels * (steps // lanes) <= (warps == 8 and 8 or 4)', -- addresses and sums of many own steps spill
  "warps ~= 12 or channels == 2 or lanes == 2",
  "channels == 1 or lanes > 1 or steps == 4",
  "channels == 1 or lanes ~= 4 or steps < 16 or warps < 16",
  "warps * 32 <= 16 * threads",                          -- at most 16 blocks fit an SM of the smaller chips
}

-- A CUDA version that needs `extra` (a formula) registers more than that. Where more blocks must fit, the compiler has no room to
-- schedule loads early: 24 registers less than fit is what spills on no target (ptxas 13.0).
local function cuda(extra, version)
  version.kind, version.needs, version.constraints = "cuda", {}, { table.unpack(constraints) }
  if version.name == "chunked" then
    table.insert(version.constraints, "lanes == 2 or lanes == 4 or channels == 1 and steps == 16")
    table.insert(version.constraints, "channels == 2 and chunks > 8 or channels == 1 and threads == 128 and chunks < 32")
    table.insert(version.constraints, "channels == 1 or lanes == 4 or steps == 8 or warps == 8")
  end
  table.insert(version.constraints, registers .. " + " .. extra ..
    " + (warps == 8 and 0 or channels == 1 and 24 or 6) <= min(242, " .. granted .. ")")
  return version
end

-- Costs (tuner/rank.c) of `length` steps of a block, cycles fitted to 303 times of an H200 (a tenth off on average): a tile is loaded and
-- its activations computed, shared by the lanes of a channel; then the chain of steps, each over a lane's states.
local function cost(length)
  local states = "channels*ceil_div(n, lanes)"
  return {
    registers = granted,
    latency = string.format("7000 + ceil_div(%s, steps)*640 + (%s)*(21 + 16*%s + 41*channels/lanes)", length, length, states),
    issue = string.format("(%s)*threads*(5.6*%s + 20 + 92*channels/lanes)/128", length, states),
  }
end
local chunk = "steps*ceil_div(ceil_div(l, steps), chunks)"

local channel_tiles = "b*g*ceil_div(d // g, threads // lanes * channels)"

-- Shared memory of version 3: two tiles (B, C, dt, dt*u), sums of its warps, A and h.
local segments_row = "(lanes*(steps + 4) + (lanes >= 8 and 4 or 0))"
local segments_channels = "(columns * (32 // lanes))"
local segments_bytes = string.format(
  "4*(4*%s*(n + %s) + (split > 1 and 2*split*%s*%s or 0) + 2*%s*(n + 1))", segments_row, segments_channels, segments_channels,
  segments_row, segments_channels)

-- Step sizes of 1e-3 to 0.1, through softplus or as they are.
local delta_init = { "uniform", "softplus == 1 and -6 or 1e-3", "softplus == 1 and -2 or 0.1" }

-- Scratch of a CPU block: A and h, then struct tile of tile.c.in. The arguments are formulas.
local function scratch(channels, row)
  return string.format("4*(2*(%s)*(%s) + 3*steps*(%s) + 2*steps*(%s) + 2*(%s))", row, channels, channels, row, channels)
end

return {
  name = "selective_scan",
  fields = {
    { "b", "extent" },
    { "l", "extent" },
    { "d", "extent" },
    { "n", "spec", "1..256", default = 16 },
    { "g", "spec", "1..64", default = 1 },
    { "dtype", "spec", { "fp32", "bf16", "fp16" } },
    { "gate", "spec", { 0, 1 }, default = 1 },
    { "softplus", "spec", { 0, 1 }, default = 1 },
    { "varlen", "spec", { 0, 1 }, default = 0 },
    { "layout", "spec", { "channel_last", "channel_first" }, default = "channel_last" },
  },
  domain = { "d % g == 0", 'varlen == 0 or layout == "channel_last"' },
  tensors = {
    { "u", "in", dtype = "dtype", shape = rows_of("d"), pitch = "u_pitch", init = { "normal", 0, 1 } },
    { "delta", "in", dtype = "dtype", shape = rows_of("d"), pitch = "delta_pitch", init = delta_init },
    { "z", "in", dtype = "dtype", shape = rows_of("d"), pitch = "z_pitch", when = "gate == 1",
      init = { "normal", 0, 1 } },
    { "B", "in", dtype = "dtype", shape = rows_of("g*n"), pitch = "B_pitch", init = { "normal", 0, 1 } },
    { "C", "in", dtype = "dtype", shape = rows_of("g*n"), pitch = "C_pitch", init = { "normal", 0, 1 } },
    { "A", "in", dtype = "fp32", shape = { "d", "n" }, init = { "uniform", -16, -0.5 } },
    { "D", "in", dtype = "fp32", shape = { "d" }, optional = true, init = { "normal", 0, 1 } },
    { "dt_bias", "in", dtype = "fp32", shape = { "d" }, optional = true,
      init = { "uniform", "-0.5*softplus", "0.5*softplus + 1e-3" } },
    { "h0", "in", dtype = "fp32", shape = { "b", "d", "n" }, optional = true, init = { "normal", 0, 1 } },
    { "cu_l", "in", dtype = "int32", shape = { "1", "b + 1" }, when = "varlen == 1", init = { "offsets", "l" } },
    { "h_last", "out", dtype = "fp32", shape = { "b", "d", "n" }, optional = true },
    { "out", "out", dtype = "dtype", shape = rows_of("d"), pitch = "out_pitch" },
  },
  scalars = {},
  lanes = "b*d",
  cache = "warm", -- the launch before has just written the inputs
  -- Multiply, exponential, multiply, two fused multiply-adds a state; skip, softplus and gate about 10 a step.
  work = {
    flops = "b*l*d*(7*n + 10)",
    bytes = "(b*l*d*(3 + gate) + 2*b*l*g*n)*bytes(dtype) + 4*(d*n + 2*d + 2*b*d*n)",
  },
  -- fp32: a decay w near one that is rounded by e moves the state, a sum of 1/(1 - w) terms, by e/(1 - w) of itself. With
  -- steps of 1e-3 that is 6e-5 for a correctly rounded w, and the GPU's ex2 is bounded by three times that rounding.
  tolerance = {
    fp32 = { rtol = 5e-4, atol = 2e-4, norm = 1e-4 },
    bf16 = { rtol = 1e-2, atol = 1e-2, norm = 4e-3 },
    fp16 = { rtol = 2e-3, atol = 2e-3, norm = 1e-3 },
  },
  regret = 0.10, -- `tune regret`: median of the problems that a search timed on an H200
  cap = 500,
  versions = {
    cuda(0, {
      name = "sequential", file = "1_sequential.cu.in",
      tunables = {
        { "threads", { 64, 128, 256 } }, { "lanes", { 1, 2, 4, 8, 16 } }, { "channels", { 1, 2 } },
        { "steps", { 4, 8, 16 } }, { "warps", { 8, 12, 16 } },
      },
      default = { threads = "n <= 16 and 64 or 256", lanes = lanes, channels = 1,
                  steps = "n > 16 and n <= 64 and 16 or 8", warps = 8 },
      launches = { { entry = "selective_scan_sequential", grid = { channel_tiles, "1", "1" },
                     block = { "threads", "1", "1" }, shared = "0", cost = cost("l") } },
    }),
    cuda("(channels == 1 and 21 or bytes(dtype) == 4 and 8 or 0)", {
      name = "chunked", file = "2_chunked.cu.in",
      tunables = {
        { "threads", { 64, 128 } }, { "lanes", { 1, 2, 4, 8 } }, { "channels", { 1, 2 } },
        { "steps", { 8, 16 } }, { "chunks", { 8, 16, 32 } }, { "warps", { 8, 12, 16 } },
      },
      workspace = "4*b*d*chunks*(n + 1)",
      launches = {
        { entry = "selective_scan_ends", grid = { channel_tiles, "max(1, min(chunks, ceil_div(l, steps)))", "1" },
          block = { "threads", "1", "1" }, shared = "0", cost = cost("0.66*" .. chunk) },
        { entry = "selective_scan_apply", grid = { channel_tiles, "max(1, min(chunks, ceil_div(l, steps)))", "1" },
          block = { "threads", "1", "1" }, shared = "0", cost = cost("(chunks + " .. chunk .. ")") },
      },
    }),
    {
      -- lanes: segments of time side by side. split: warps that share a channel's states. columns: such groups of a block.
      -- steps: of a segment. flight: states at a time.
      name = "segments", file = "3_segments.cu.in", kind = "cuda", needs = {},
      tunables = {
        { "lanes", { 4, 8, 16 } }, { "split", { 1, 2, 4 } }, { "columns", { 1, 2, 3, 4, 5, 6 } },
        { "steps", { 8, 16 } }, { "flight", { 1, 2 } }, { "warps", { 8, 12 } },
      },
      constraints = {
        "n % (split * flight) == 0",
        "steps >= split",
        -- rows of B and C dealt to threads
        'layout == "channel_first" or 16 * split * columns % (n // (n % 4 == 0 and 4 or n % 2 == 0 and 2 or 1)) == 0',
        'layout == "channel_last" or 16 * split * columns % (lanes * steps * bytes(dtype) // 16) == 0',
        "2 * split * columns > warps and split * columns <= warps", -- one block an SM, or two
        "lanes > 4 or steps == 16", "flight == 1 or steps == 8 or warps == 8 and split > 1",
        'layout == "channel_last" or flight == 1 or steps == 8 or split == 4', "steps == 8 or split == 4 and lanes < 16 or warps == 8",
        -- B and C in flight: 16 registers; with fp32 32, which 12 warps have no room for
        "n * lanes * steps * 2 <= 16 * 32 * split * columns * (n % 2 == 0 and 2 or 1)",
        "warps == 8 or n * lanes * steps * bytes(dtype) <= 16 * 32 * split * columns * 2",
        segments_bytes .. " <= shared_block_bytes",
        "warps // (split * columns) * (" .. segments_bytes .. " + 1024) <= shared_sm_bytes",
      },
      launches = {
        { entry = "selective_scan_segments", grid = { "b*g*ceil_div(d // g, columns * (32 // lanes))", "1", "1" },
          block = { "32 * split * columns", "1", "1" }, shared = segments_bytes,
          -- shared memory binds: it delivers one register of a warp a cycle, and B, C, dt and y all come from there
          cost = { registers = granted,
                   latency = "4300 + ceil_div(l, lanes*steps)*(1500 + 460*n/split/flight + 20*steps)",
                   issue = "ceil_div(l, lanes*steps)*32*split*columns*(19*steps*n/split + 565)/128" } },
      },
    },
    {
      name = "channels", file = "1_channels.c.in", kind = "cpu", needs = {},
      tunables = { { "vectors", { 1, 2, 4 } }, { "steps", { 16, 32, 64 } }, { "states", { 1, 2, 4 } } },
      default = { vectors = 1, steps = 32, states = "n == 1 and 1 or 2" },
      constraints = { "states <= n", "states > 1 or n == 1" },
      launches = { { entry = "selective_scan_channels",
                     grid = { "b*g*ceil_div(d // g, vectors*(vector_bytes // 4))", "1", "1" },
                     scratch = scratch("vectors*(vector_bytes // 4)", "ceil_div(n, states)*states") } },
    },
    {
      name = "states", file = "2_states.c.in", kind = "cpu", needs = {},
      tunables = { { "channels", { 4, 8, 16, 32 } }, { "steps", { 16, 64 } } },
      constraints = { "channels % (vector_bytes // 4) == 0" },
      launches = { { entry = "selective_scan_states",
                     grid = { "b*g*ceil_div(d // g, channels)", "1", "1" },
                     scratch = scratch("channels", "ceil_div(n, vector_bytes // 4)*(vector_bytes // 4)") } },
    },
  },
}
