-- Formulas of family.lua: Lua expressions in strings, evaluated to numbers, or traced into postfix text where
-- they speak of extents, which only the runtime knows.
local G, string, table, math = ...

local compiled = {} -- text -> function(scope)

-- A formula as a function of its scope; `where` names its place for messages.
function G.formula(text, where)
  if type(text) == "number" then text = tostring(text) end
  if type(text) ~= "string" then error(where .. ": a formula is a number or a string", 0) end
  local known = compiled[text]
  if known then return known end
  local chunk, message = load("local _ENV = ... ; return " .. text, "=" .. where, "t", {})
  if not chunk then error(where .. ": '" .. text .. "': " .. message, 0) end
  compiled[text] = chunk
  return chunk
end

-- Evaluates to a plain value. Fails with the formula's place and text.
function G.evaluate(text, scope, where)
  local ok, value = pcall(G.formula(text, where), scope)
  if not ok then error(where .. ": '" .. tostring(text) .. "': " .. tostring(value), 0) end
  return value
end

function G.number(text, scope, where)
  local value = G.evaluate(text, scope, where)
  if type(value) ~= "number" then error(where .. ": '" .. tostring(text) .. "' is not a number", 0) end
  return value
end

function G.integer(text, scope, where)
  local value = math.tointeger(G.number(text, scope, where))
  if not value then error(where .. ": '" .. tostring(text) .. "' is not an integer", 0) end
  return value
end

function G.holds(text, scope, where)
  local value = G.evaluate(text, scope, where)
  if type(value) ~= "boolean" then error(where .. ": '" .. tostring(text) .. "' is not true or false", 0) end
  return value
end

-- The names a formula uses, outside string literals and quoted keys.
function G.names(text)
  local found, plain = {}, text:gsub('"[^"]*"', '""'):gsub("'[^']*'", "''")
  for name in plain:gmatch("[%a_][%w_]*") do found[name] = true end
  return found
end

-- Scopes -----------------------------------------------------------------------------------------------------------

local dtype_bytes = { fp32 = 4, fp16 = 2, bf16 = 2, int32 = 4 }

local function ceil_div(a, b)
  if type(b) == "number" and b <= 0 then error("ceil_div by " .. b, 0) end
  return -(-a // b)
end

-- What every formula sees, over which `values` (fields, tunables) and the target's facts are laid.
function G.scope(target, ...)
  local scope = {
    bytes = function(dtype) return dtype_bytes[dtype] or error("bytes of an unknown dtype '" .. tostring(dtype) .. "'", 0) end,
    ceil_div = ceil_div, min = math.min, max = math.max,
    has = function(name) return target ~= nil and target.capabilities[name] == true end,
  }
  if target then for name, value in pairs(target.facts) do scope[name] = value end end
  for _, values in ipairs({ ... }) do
    for name, value in pairs(values) do scope[name] = value end
  end
  return setmetatable(scope, { __index = function(_, name) error("unknown name '" .. tostring(name) .. "'", 0) end })
end

-- Symbols: arithmetic on unknown extents builds postfix text -----------------------------------------------------------

local symbol = {}
local function postfix(value)
  if getmetatable(value) == symbol then return value.text end
  local whole = type(value) == "number" and math.tointeger(value)
  if not whole then error("'" .. tostring(value) .. "' is not an integer and cannot stand beside an extent", 0) end
  return string.format("%d", whole)
end
local divides = { ["//"] = true, ceil_div = true }
local function operation(name)
  return function(a, b)
    if divides[name] and type(b) == "number" and b <= 0 then error(name .. " by " .. b, 0) end
    return setmetatable({ text = postfix(a) .. " " .. postfix(b) .. " " .. name }, symbol)
  end
end
local function either(name, plain)
  local traced = operation(name)
  local function fold(a, b, ...)
    if b == nil then return a end
    local both = getmetatable(a) == symbol or getmetatable(b) == symbol
    return fold(both and traced(a, b) or plain(a, b), ...)
  end
  return fold
end
symbol.__add, symbol.__sub, symbol.__mul = operation("+"), operation("-"), operation("*")
symbol.__idiv = operation("//")
local function refuse(what)
  return function() error(what .. " of an extent: launch data knows + - * // ceil_div min max only", 0) end
end
symbol.__div, symbol.__mod, symbol.__pow, symbol.__unm = refuse("/"), refuse("%"), refuse("^"), refuse("negation")
symbol.__lt, symbol.__le = refuse("a comparison"), refuse("a comparison")

local numeric = setmetatable({}, { __mode = "k" }) -- symbolic scope -> { scope, names }: the same with numbers

-- A scope in which the named extents and sm_count are symbols.
function G.symbolic_scope(extents, target, ...)
  local scope = G.scope(target, ...)
  numeric[scope] = { scope = G.scope(target, ...), names = { "sm_count", table.unpack(extents) } }
  for _, name in ipairs(extents) do rawset(scope, name, setmetatable({ text = name }, symbol)) end
  rawset(scope, "sm_count", setmetatable({ text = "sm_count" }, symbol))
  rawset(scope, "ceil_div", either("ceil_div", ceil_div))
  rawset(scope, "min", either("min", math.min))
  rawset(scope, "max", either("max", math.max))
  return scope
end

-- Checking: Lua asks no metatable for `m == 1`, which is false, nor for `m and x`, which is x. So a formula that names
-- extents is compared with its postfix text at several values, among them those around each number it mentions.

local apply = {
  ["+"] = function(a, b) return a + b end, ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end, ["//"] = function(a, b) return a // b end,
  ceil_div = ceil_div, min = math.min, max = math.max,
}

local function run(program, values)
  local stack = {}
  for token in program:gmatch("%S+") do
    local operator = apply[token]
    if operator then
      local b = table.remove(stack)
      stack[#stack] = operator(stack[#stack], b)
    else
      table.insert(stack, values[token] or math.tointeger(token))
    end
  end
  return stack[1]
end

local function samples(text)
  local found = { 1, 2, 3, 7, 64, 1000 }
  for digits in text:gmatch("%d+") do
    local mentioned = math.tointeger(digits)
    if mentioned and mentioned < 2 ^ 31 then
      for near = math.max(mentioned - 1, 1), mentioned + 1 do table.insert(found, near) end
    end
  end
  return found
end

local function check(text, program, symbolic, where)
  local plain, used, names = numeric[symbolic], false, G.names(text)
  for _, name in ipairs(plain.names) do used = used or names[name] end
  if not used then return end
  for _, sample in ipairs(samples(text)) do
    for step = 0, 13, 13 do -- all the same, then all different
      local values = {}
      for i, name in ipairs(plain.names) do
        values[name] = sample + i * step
        rawset(plain.scope, name, values[name])
      end
      local ok, wanted = pcall(G.formula(text, where), plain.scope)
      if ok and wanted ~= run(program, values) then -- not ok: a division by 0 at this sample
        error(where .. ": '" .. text .. "': an extent is compared or tested, which launch data cannot hold (for extents of " ..
              values.sm_count .. " it is not '" .. program .. "')", 0)
      end
    end
  end
end

-- Postfix text of a formula: "m 128 ceil_div".
function G.postfix(text, scope, where)
  local value = G.evaluate(text, scope, where)
  local ok, result = pcall(postfix, value)
  if not ok then error(where .. ": '" .. tostring(text) .. "': " .. result, 0) end
  if type(value) == "number" and value < 0 then
    error(where .. ": '" .. tostring(text) .. "' is negative: " .. result, 0)
  end
  check(tostring(text), result, scope, where)
  return result
end
