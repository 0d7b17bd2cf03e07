-- One problem made concrete: its cases, tensors, scalars, work. Values are by field name, enumerated ones as strings.
local G, string, table, math = ...

local function init_text(overrides, family, label)
  local parts = {}
  for _, tensor in ipairs(family.tensors) do -- declared order: pairs has none
    local init = overrides and overrides[tensor.name]
    if init then
      G.check_init(init, label, "init of " .. tensor.name)
      table.insert(parts, tensor.name .. " " .. table.concat(init, " "))
    end
  end
  return table.concat(parts, "; ")
end

-- "tensor=value" pairs.
local function pairs_text(values, family)
  local parts = {}
  for _, tensor in ipairs(family.tensors) do
    if values[tensor.name] then table.insert(parts, tensor.name .. "=" .. values[tensor.name]) end
  end
  return table.concat(parts, " ")
end

-- By tensor, the elements that its row pitch has beyond its columns: what the case asks for, and 8 more a tensor. So a kernel
-- that takes another tensor's pitch is seen, and alignments are those asked for: 8 elements are 16 bytes or more. Tensors that
-- share memory have one pitch.
local function pads_of(pad, aliases, family, label)
  local named, pads = type(pad) == "table" and pad or nil, {}
  for i, tensor in ipairs(pad and family.tensors or {}) do
    if tensor.pitch and not aliases[tensor.name] then
      local elements = math.tointeger(named and (named[tensor.name] or 0) or pad)
      if not elements then error(label .. ": pad is an integer, or a table of integers by tensor", 0) end
      pads[tensor.name] = elements + 8 * (i - 1)
    end
  end
  for name in pairs(named or {}) do
    if not pads[name] then error(label .. ": pad of " .. tostring(name) .. ": no tensor with a pitch of its own", 0) end
  end
  for name, owner in pairs(aliases) do pads[name] = pads[owner] end
  return pads
end

-- The verify list as one text, however it is written: what a verified result rests on, beside ref.c. Notes are for readers.
local function text_of(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local keys, parts = {}, {}
  for key in pairs(value) do
    if key ~= "note" then table.insert(keys, key) end
  end
  table.sort(keys, function(a, b) return text_of(a) < text_of(b) end)
  for i, key in ipairs(keys) do parts[i] = text_of(key) .. "=" .. text_of(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end
function G.verify_text(family) return text_of(family.cases.verify or {}) end

-- The verify list for a specialization (`like`), or the texts of another list.
function G.verify_cases(family, like)
  local found = {}
  for i, case in ipairs(family.cases.verify or {}) do
    local label = family.cases_label .. ": verify[" .. i .. "]"
    local values, aliases = {}, case.alias or {}
    for _, field in ipairs(family.fields) do
      local value = case[field.name]
      if not field.extent then value = like[field.name] end
      if value == nil then error(label .. ": no value for " .. field.name, 0) end
      values[field.name] = value
    end
    if not G.broken_domain(family, values) then
      table.insert(found, { values = values, pad = pairs_text(pads_of(case.pad, aliases, family, label), family),
                            init = init_text(case.init, family, label), omit = table.concat(case.omit or {}, " "),
                            alias = pairs_text(aliases, family), note = case.note or "" })
    end
  end
  return found
end

local function word_set(text)
  local set = {}
  for word in text:gmatch("%S+") do set[word] = true end
  return set
end

local function parse_inits(text)
  local inits = {}
  for part in text:gmatch("[^;]+") do
    local name, kind, rest = part:match("^%s*([%w_]+) (%a+)%s*(.*)$")
    local init = { kind }
    for word in rest:gmatch("%S+") do table.insert(init, word) end
    inits[name] = init
  end
  return inits
end

local function parse_pads(text)
  local pads = {}
  for name, elements in text:gmatch("([%w_]+)=(%-?%d+)") do pads[name] = tonumber(elements) end
  return pads
end

local function tolerance_of(family, tensor, dtype)
  local tolerance = (tensor.tolerance or {})[dtype] or family.tolerance[dtype]
  if not tolerance then error(family.label .. ": no tolerance for " .. dtype .. " output " .. tensor.name, 0) end
  return tolerance
end

-- Everything gen_bind hands to C: { tensors = {...}, scalars = {...}, extents = {...}, flops, bytes, lanes }.
function G.bind(family, values, pad, init, omit)
  local scope, pads, inits, omitted = G.scope(nil, values), parse_pads(pad), parse_inits(init), word_set(omit)
  local bound = { tensors = {}, scalars = {}, extents = {}, args_bytes = family.args_bytes }
  for i, t in ipairs(family.tensors) do
    local where = family.label .. ": tensor " .. t.name
    local present = t.when == nil or G.holds(t.when, scope, where .. ".when")
    if present and not (omitted[t.name] and t.optional) then
      local dtype = family.field[t.dtype] and values[t.dtype] or t.dtype
      local rank, rows = #t.shape, 1
      for d = 1, rank - 1 do rows = rows * G.integer(t.shape[d], scope, where .. ".shape") end
      local cols = G.integer(t.shape[rank], scope, where .. ".shape")
      local fill = inits[t.name] or t.init
      local entry = { name = t.name, number = i, dtype = dtype, direction = t.direction, rows = rows, cols = cols,
                      pitch = cols + (pads[t.name] or 0), offset = family.args[t.name].offset,
                      pitch_offset = t.pitch and family.args[t.pitch].offset or -1, optional = t.optional, init = fill[1],
                      a = G.number(fill[2], scope, where .. ".init"), b = fill[3] and G.number(fill[3], scope, where .. ".init") or 0 }
      if t.direction ~= "in" then
        for bound_name, formula in pairs(tolerance_of(family, t, dtype)) do
          entry[bound_name] = G.number(formula, scope, where .. ".tolerance." .. bound_name)
        end
      end
      table.insert(bound.tensors, entry)
    end
  end
  for i, scalar in ipairs(family.scalars) do
    bound.scalars[i] = { name = scalar[1], offset = family.args[scalar[1]].offset,
                         value = G.number(scalar[2], scope, family.label .. ": scalar " .. scalar[1]) }
  end
  for i, name in ipairs(family.extents) do
    local member = family.args[name]
    bound.extents[i] = { offset = member.offset, bytes = member.type == "i64" and 8 or 4, value = values[name] }
  end
  bound.flops = G.number(family.work.flops, scope, family.label .. ": work.flops")
  bound.bytes = G.number(family.work.bytes, scope, family.label .. ": work.bytes")
  bound.lanes = G.integer(family.lanes, scope, family.label .. ": lanes")
  return bound
end

-- Text of FAMILY_ref.h: what ref.c sees, in the order in which gen_ref_slots fills it.
function G.ref_header(family)
  local lines, name, upper = {}, family.name, family.name:upper()
  local function line(...) table.insert(lines, string.format(...)) end
  line("/* Generated from %s; do not edit. */", family.label)
  line("#ifndef %s_REF_H\n#define %s_REF_H\n\n#include <stddef.h>\n#include <stdint.h>\n", upper, upper)
  for _, field in ipairs(family.fields) do
    if field.values and type(field.values[1]) == "string" then
      local names = {}
      for i, value in ipairs(field.values) do names[i] = upper .. "_" .. field.name:upper() .. "_" .. value:upper() end
      line("enum { %s };", table.concat(names, ", "))
    end
  end
  line("\nstruct %s_ref {", name)
  local is_tensor = {}
  for _, t in ipairs(family.tensors) do is_tensor[t.name] = true end
  for _, field in ipairs(family.fields) do -- gemm has a field `out` and a tensor `out`
    line("    int64_t %s%s;", field.name, is_tensor[field.name] and "_field" or "")
  end
  for _, scalar in ipairs(family.scalars) do line("    double %s;", scalar[1]) end
  for _, t in ipairs(family.tensors) do line("    double *%s; /* [%s] */", t.name, table.concat(t.shape, ", ")) end
  line("};\n\n/* Computes the outputs of one lane (of %s); lanes are independent and may run in parallel. */", family.lanes)
  line("void %s_ref(const struct %s_ref *p, int64_t lane);\n\n#endif", name, name)
  return table.concat(lines, "\n") .. "\n"
end
