-- Tensor maps of a launch (templates/README.md): a matrix seen as parts side by side, of which the TMA copies boxes.
local G, string, table = ...

local MOST = 4 -- RT_MAX_MAPS of runtime/tensor_map.h
local MOST_BOX_ROWS = 256 -- of the TMA
local ROW_BYTES = { [32] = true, [64] = true, [128] = true } -- of a box's row: the swizzles there are
local COPY_BYTES = 16 -- what the TMA's strides are multiples of

local function tensor_of(family, name)
  for _, tensor in ipairs(family.tensors) do
    if tensor.name == name then return tensor end
  end
end

local function contains(list, wanted)
  for _, value in ipairs(list) do
    if value == wanted then return true end
  end
end

-- What can be said of the maps of a launch before anything is bound; `where` names the launch.
function G.check_maps(family, version, maps, where)
  if version.kind ~= "cuda" then error(where .. ".maps: CUDA only", 0) end
  if not contains(version.needs, "tma") then error(where .. ".maps: the version must need \"tma\"", 0) end
  if type(maps) ~= "table" or #maps == 0 or #maps > MOST then error(where .. ".maps must be a table of 1 to " .. MOST, 0) end
  for i, map in ipairs(maps) do
    local what = where .. ".maps[" .. i .. "]"
    if type(map) ~= "table" then error(what .. " must be a table", 0) end
    local tensor = tensor_of(family, map[1])
    if not tensor then error(what .. ": no tensor named '" .. tostring(map[1]) .. "'", 0) end
    if not tensor.pitch then error(what .. ": tensor " .. tensor.name .. " has no pitch", 0) end
    if type(map.box) ~= "table" or #map.box ~= 2 then error(what .. ".box must be a table of columns and rows", 0) end
  end
end

-- A tensor's rows as one formula: all dimensions but the last.
local function rows_formula(shape)
  local factors = {}
  for d = 1, #shape - 1 do factors[d] = "(" .. shape[d] .. ")" end
  return #factors > 0 and table.concat(factors, " * ") or "1"
end

-- A map bound to a variant, for launch data. `bound` knows no extents, `symbolic` has them as symbols.
local function entry(family, map, bound, symbolic, what)
  local tensor = tensor_of(family, map[1])
  local bytes = bound.bytes(family.field[tensor.dtype] and bound[tensor.dtype] or tensor.dtype)
  local part = map.part ~= nil and G.integer(map.part, bound, what .. ".part")
  local columns, rows = G.integer(map.box[1], bound, what .. ".box"), G.integer(map.box[2], bound, what .. ".box")
  if part and (part <= 0 or part * bytes % COPY_BYTES ~= 0) then
    error(string.format("%s.part: %d columns of %d bytes are no multiple of %d bytes", what, part, bytes, COPY_BYTES), 0)
  end
  if not ROW_BYTES[columns * bytes] then
    error(string.format("%s.box: a row of %d columns of %d bytes: 32, 64 or 128 bytes are possible", what, columns, bytes), 0)
  end
  if rows < 1 or rows > MOST_BOX_ROWS then
    error(string.format("%s.box: %d rows: 1 to %d are possible", what, rows, MOST_BOX_ROWS), 0)
  end
  local list = { "{", { "tensor", tensor.name }, { "pitch", tensor.pitch }, { "bytes", bytes },
                 { "columns", G.postfix(tensor.shape[#tensor.shape], symbolic, what .. ".columns") },
                 { "rows", G.postfix(rows_formula(tensor.shape), symbolic, what .. ".rows") } }
  if part then table.insert(list, { "part", part }) end
  table.insert(list, { "box", { "[", columns, rows } })
  return list
end

-- The maps of a launch for the JSON of launch data; nil if it has none.
function G.launch_maps(family, launch, bound, symbolic, where)
  if not launch.maps then return nil end
  local list = { "[" }
  for i, map in ipairs(launch.maps) do list[i + 1] = entry(family, map, bound, symbolic, where .. ".maps[" .. i .. "]") end
  return list
end
