-- Loading: targets/NAME.lua, FAMILY/family.lua with its args.h, FAMILY/cases.lua. Every fault is an error that names
-- the file and the field.
local G, string, table, math = ...

G.targets, G.families = {}, {}

-- Runs a description file in the sandbox and returns its table.
local function description(path, label)
  local text = G.read(path)
  if not text then return nil end
  local chunk, message = load(text, "=" .. label, "t", G.environment())
  if not chunk then error(message, 0) end
  local result = chunk()
  if type(result) ~= "table" then error(label .. ": must return a table", 0) end
  return result
end

local function need(value, kind, label, what)
  if type(value) ~= kind then error(label .. ": " .. what .. " must be a " .. kind, 0) end
  return value
end

-- Targets ----------------------------------------------------------------------------------------------------------

local kinds = { cuda = true, cpu = true }

function G.load_target(path, label)
  local t = description(path, label)
  need(t.name, "string", label, "name")
  if not kinds[t.kind] then error(label .. ": kind must be \"cuda\" or \"cpu\"", 0) end
  if G.targets[t.name] then error(label .. ": a second target named " .. t.name, 0) end
  G.targets[t.name] = { name = t.name, kind = t.kind, parent = t.parent, own_facts = t.facts or {}, own_has = t.has or {},
                        options = t.options, label = label }
  return t.name
end

-- Lays each target's facts and capabilities over its parents'; options are the nearest ones.
function G.resolve_targets()
  local function resolve(target, depth)
    if target.facts then return target end
    if depth > 16 then error(target.label .. ": its parents form a circle", 0) end
    local facts, capabilities, options = {}, {}, target.options
    if target.parent then
      local parent = G.targets[target.parent]
      if not parent then error(target.label .. ": no target named '" .. target.parent .. "' (its parent)", 0) end
      if parent.kind ~= target.kind then error(target.label .. ": its parent is of another kind", 0) end
      resolve(parent, depth + 1)
      for name, value in pairs(parent.facts) do facts[name] = value end
      for name in pairs(parent.capabilities) do capabilities[name] = true end
      options = options or parent.options
    end
    for name, value in pairs(target.own_facts) do facts[name] = need(value, "number", target.label, "facts." .. name) end
    for _, name in ipairs(target.own_has) do capabilities[name] = true end
    target.facts, target.capabilities, target.options = facts, capabilities, options or {}
    return target
  end
  for _, target in pairs(G.targets) do resolve(target, 0) end
end

-- args.h -----------------------------------------------------------------------------------------------------------

local member_types = { int32_t = { "i32", 4 }, uint32_t = { "u32", 4 }, int64_t = { "i64", 8 }, float = { "f32", 4 } }

-- Members with their natural-alignment offsets, as every C compiler of our targets lays them out.
local function parse_args(text, name, label)
  local plain = text:gsub("/%*.-%*/", function(c) return (c:gsub("[^\n]", "")) end):gsub("//[^\n]*", "")
  local body = plain:match("struct%s+" .. name .. "_args%s*{(.-)}%s*;")
  if not body then error(label .. ": no struct " .. name .. "_args", 0) end
  local members, offset, align = {}, 0, 1
  for declaration in body:gmatch("[^;]+") do
    declaration = declaration:match("^%s*(.-)%s*$")
    if declaration ~= "" then
      local pointee, pointer = declaration:match("^(.-)%s*%*%s*([%a_][%w_]*)$")
      local base, member = declaration:match("^([%w_]+)%s+([%a_][%w_]*)$")
      local kind = pointer and { "ptr", 8 } or base and member_types[base]
      if not kind then error(label .. ": cannot read the member '" .. declaration .. "'", 0) end
      offset = -(-offset // kind[2]) * kind[2]
      align = math.max(align, kind[2])
      table.insert(members, { name = pointer or member, type = kind[1], offset = offset, pointee = pointee })
      members[pointer or member] = members[#members]
      offset = offset + kind[2]
    end
  end
  if not members[1] or members[1].name ~= "workspace" or members[1].type ~= "ptr" then
    error(label .. ": the first member must be 'void *workspace'", 0)
  end
  return members, -(-offset // align) * align
end

-- family.lua ---------------------------------------------------------------------------------------------------------

-- A list of allowed values with the index of each: { 1, 2 } or { "a", "b" } or "1..256" (range).
local function value_list(list, label, what)
  if type(list) == "string" then
    local low, high = list:match("^(%-?%d+)%.%.(%-?%d+)$")
    if not low then error(label .. ": " .. what .. ": a range is written \"1..256\"", 0) end
    return nil, math.tointeger(low), math.tointeger(high)
  end
  need(list, "table", label, what)
  local values, index, kind = {}, {}, type(list[1])
  for i, value in ipairs(list) do
    if type(value) ~= kind or (kind ~= "string" and not math.tointeger(value)) then
      error(label .. ": " .. what .. ": values are all integers or all strings", 0)
    end
    values[i], index[value] = kind == "number" and math.tointeger(value) or value, i
  end
  if #values == 0 then error(label .. ": " .. what .. ": no values", 0) end
  return values, nil, nil, index
end

local function check_default(field, where)
  if field.default == nil then return end
  local low, high = field.low or 0, field.high or 0x7fffffff -- an extent is an int32_t
  local ok = field.index and field.index[field.default]
  if not field.index then
    local whole = math.tointeger(field.default)
    ok = whole and whole >= low and whole <= high
  end
  if not ok then error(where .. ": default " .. tostring(field.default) .. " is not among its values", 0) end
end

local function load_fields(family, list)
  for i, field in ipairs(need(list, "table", family.label, "fields")) do
    local what = "fields[" .. i .. "]"
    local name, kind = need(field[1], "string", family.label, what), field[2]
    local entry = { name = name, extent = kind == "extent", default = field.default }
    if kind == "extent" then
      local member = family.args[name]
      if not member or (member.type ~= "i32" and member.type ~= "i64") then
        error(family.label .. ": extent " .. name .. " has no integer member in args.h", 0)
      end
      table.insert(family.extents, name)
    elseif kind == "spec" then
      entry.values, entry.low, entry.high, entry.index = value_list(field[3], family.label, what .. " " .. name)
    else
      error(family.label .. ": " .. what .. " must be \"extent\" or \"spec\"", 0)
    end
    check_default(entry, family.label .. ": " .. what .. " " .. name)
    family.fields[i], family.field[name] = entry, entry
  end
end

local dtypes = { fp32 = true, fp16 = true, bf16 = true, int32 = true }
local directions = { ["in"] = true, out = true, inout = true }
local init_kinds = { normal = 2, uniform = 2, index = 1, offsets = 1, distinct = 1 }

function G.check_init(init, label, what)
  local count = init_kinds[init[1]]
  if not count then error(label .. ": " .. what .. ": unknown init '" .. tostring(init[1]) .. "'", 0) end
  if #init ~= count + 1 then error(label .. ": " .. what .. ": init " .. init[1] .. " takes " .. count .. " numbers", 0) end
  return init
end

local function load_tensors(family, list)
  for i, t in ipairs(need(list, "table", family.label, "tensors")) do
    local name = need(t[1], "string", family.label, "tensors[" .. i .. "]")
    local what = "tensor " .. name
    local member = family.args[name]
    if not member or member.type ~= "ptr" then error(family.label .. ": " .. what .. " has no pointer member in args.h", 0) end
    if t.pitch and (not family.args[t.pitch] or family.args[t.pitch].type ~= "i64") then
      error(family.label .. ": " .. what .. ": pitch '" .. t.pitch .. "' is no int64_t member of args.h", 0)
    end
    if not directions[t[2]] then error(family.label .. ": " .. what .. ": direction is in, out or inout", 0) end
    if not dtypes[t.dtype] and not family.field[t.dtype] then
      error(family.label .. ": " .. what .. ": dtype '" .. tostring(t.dtype) .. "' is neither a dtype nor a field", 0)
    end
    need(t.shape, "table", family.label, what .. ".shape")
    family.tensors[i] = { name = name, direction = t[2], dtype = t.dtype, shape = t.shape, pitch = t.pitch, when = t.when,
                          optional = t.optional == true, tolerance = t.tolerance,
                          init = G.check_init(t.init or { "normal", 0, 1 }, family.label, what) }
  end
end

local function load_versions(family, list)
  for i, v in ipairs(need(list, "table", family.label, "versions")) do
    local name = need(v.name, "string", family.label, "versions[" .. i .. "].name")
    local what = "version " .. name
    if not kinds[v.kind] then error(family.label .. ": " .. what .. ": kind must be \"cuda\" or \"cpu\"", 0) end
    local version = { name = name, file = need(v.file, "string", family.label, what .. ".file"), kind = v.kind, number = i,
                      needs = v.needs or {}, constraints = v.constraints or {}, default = v.default, tunables = {},
                      workspace = v.workspace or "0", zero = v.zero or {},
                      launches = need(v.launches, "table", family.label, what .. ".launches") }
    for j, tunable in ipairs(v.tunables or {}) do
      local values, _, _, index = value_list(tunable[2], family.label, what .. ".tunables[" .. j .. "]")
      if not values then error(family.label .. ": " .. what .. ": a tunable is a list, not a range", 0) end
      version.tunables[j] = { name = tunable[1], values = values, index = index }
    end
    for j, launch in ipairs(version.launches) do
      local place = what .. ".launches[" .. j .. "]"
      need(launch.entry, "string", family.label, place .. ".entry")
      need(launch.grid, "table", family.label, place .. ".grid")
      if launch.cost and not (v.kind == "cuda" and launch.cost.latency and launch.cost.issue) then
        error(family.label .. ": " .. place .. ".cost: CUDA only, and both latency and issue", 0)
      end
      if launch.maps then G.check_maps(family, version, launch.maps, family.label .. ": " .. place) end
    end
    family.versions[i] = version
  end
end

-- Loads root/name/family.lua; nil when the folder has none.
function G.load_family(root, root_label, name)
  local dir = root .. "/" .. name
  local label = root_label .. "/" .. name .. "/family.lua"
  local f = description(dir .. "/family.lua", label)
  if not f then return nil end
  if f.name ~= name then error(label .. ": name must be the folder's, '" .. name .. "'", 0) end
  if G.families[name] then error(label .. ": a second family named " .. name, 0) end
  local args_text = G.read(dir .. "/args.h") or error(root_label .. "/" .. name .. "/args.h is missing", 0)
  if f.cache and f.cache ~= "warm" and f.cache ~= "cold" then error(label .. ": cache is \"warm\" or \"cold\"", 0) end
  local family = { name = name, dir = dir, root = root, root_label = root_label, label = label, args_text = args_text,
                   fields = {}, field = {}, extents = {}, tensors = {}, versions = {}, scalars = f.scalars or {},
                   domain = f.domain or {}, lanes = f.lanes or error(label .. ": lanes is missing", 0),
                   work = need(f.work, "table", label, "work"), tolerance = need(f.tolerance, "table", label, "tolerance"),
                   cap = f.cap or 2000, regret = f.regret, warm = f.cache == "warm" }
  family.args, family.args_bytes = parse_args(args_text, name, root_label .. "/" .. name .. "/args.h")
  load_fields(family, f.fields)
  load_tensors(family, f.tensors)
  for _, scalar in ipairs(family.scalars) do
    local member = family.args[scalar[1]]
    if not member or member.type ~= "f32" then error(label .. ": scalar " .. scalar[1] .. " has no float member in args.h", 0) end
  end
  load_versions(family, f.versions)
  family.cases_label = root_label .. "/" .. name .. "/cases.lua"
  family.cases = description(dir .. "/cases.lua", family.cases_label) or {}
  G.families[name] = family
  return family
end

-- What a kernel and its caller must agree on, as text to be hashed.
function G.abi_text(family)
  local parts = { family.name }
  for _, field in ipairs(family.fields) do table.insert(parts, (field.extent and "extent " or "spec ") .. field.name) end
  for _, member in ipairs(family.args) do table.insert(parts, member.type .. " " .. member.name .. " " .. member.offset) end
  return table.concat(parts, "\n")
end

-- The first domain rule that the problem breaks; nil if it is possible.
function G.broken_domain(family, values)
  local scope = G.scope(nil, values)
  for i, rule in ipairs(family.domain) do
    if not G.holds(rule, scope, family.label .. ": domain[" .. i .. "]") then return rule end
  end
end
