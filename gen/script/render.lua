-- Template text to a translation unit, and the launch data that goes with it.
--
-- A template becomes a Lua chunk with one chunk line a template line, so that Lua's own errors name the template's
-- line; the output carries #line wherever its numbering drifts from the template's, so that the compiler's do too.
local G, string, table, math = ...

-- Lua source of one text line: emit(line number, pieces...).
local function text_line(number, text, label)
  local pieces, position = {}, 1
  while true do
    local open = text:find("${", position, true)
    if not open then break end
    local close = select(2, text:find("%b{}", open + 1))
    if not close then error(label .. ":" .. number .. ": '${' without '}'", 0) end
    table.insert(pieces, string.format("%q", text:sub(position, open - 1)))
    table.insert(pieces, "(" .. text:sub(open + 2, close - 1) .. ")")
    position = close + 1
  end
  table.insert(pieces, string.format("%q", text:sub(position)))
  return "_emit(" .. number .. ", " .. table.concat(pieces, ", ") .. ")"
end

local function chunk_of(text, label)
  local lines, number = {}, 0
  for line in (text:gsub("\r\n", "\n"):gsub("\n?$", "\n")):gmatch("(.-)\n") do
    number = number + 1
    local code = line:match("^%s*%$([^{].*)$") or (line:match("^%s*%$%s*$") and "")
    lines[number] = code or text_line(number, line, label)
  end
  return table.concat(lines, "\n")
end

local function show(value, label, number)
  local kind = math.type(value)
  if kind == "float" then return string.format(math.tointeger(value) and "%.1f" or "%.17g", value) end
  if kind == "integer" or type(value) == "string" then return tostring(value) end
  error(label .. ":" .. number .. ": ${} gives a " .. type(value), 0)
end

-- An output text that knows which template line comes next without a directive.
local function new_output() return { lines = {}, file = nil, line = 0 } end

local function emit(output, label, number, text)
  local last = output.lines[#output.lines]
  local continued = last and last:sub(-1) == "\\"
  if not continued and (output.file ~= label or output.line ~= number) then
    table.insert(output.lines, string.format("#line %d \"%s\"", number, label))
  end
  table.insert(output.lines, text)
  if continued then output.line = output.line + 1 -- one line further by the compiler's count, whatever ours is
  else output.file, output.line = label, number + 1 end
end

-- Expands `path` (relative to a template root) into output; `roots` are searched in order.
local function expand(output, roots, path, values, depth)
  if depth > 8 then error(path .. ": includes nest too deeply", 0) end
  if path:find("..", 1, true) or path:sub(1, 1) == "/" then error(path .. ": includes stay inside the template folders", 0) end
  local text, label
  for _, root in ipairs(roots) do
    text = G.read(root.path .. "/" .. path)
    if text then label = root.label .. "/" .. path break end
  end
  if not text then error(path .. ": no such template file", 0) end
  local env = G.environment()
  for name, value in pairs(values) do env[name] = value end
  env._emit = function(number, ...)
    local parts = { ... }
    for i = 1, #parts do parts[i] = show(parts[i], label, number) end
    emit(output, label, number, table.concat(parts))
  end
  env.include = function(other) expand(output, roots, other, values, depth + 1) end
  env.fail = function(message) error(label .. ": " .. tostring(message), 0) end
  local chunk, message = load(chunk_of(text, label), "=" .. label, "t", env)
  if not chunk then error(message, 0) end
  chunk()
end

-- JSON of strings and integers in a given order: { "{", {key, value}... } or { "[", value... }.
local function json(value)
  if type(value) == "string" then return '"' .. value:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"' end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i = 2, #value do
    parts[i - 1] = value[1] == "{" and json(value[i][1]) .. ":" .. json(value[i][2]) or json(value[i])
  end
  return value[1] .. table.concat(parts, ",") .. (value[1] == "{" and "}" or "]")
end

local function json_list(list, each)
  local out = { "[" }
  for i, value in ipairs(list) do out[i + 1] = each(value, i) end
  return out
end

-- Whether the kernel `entry` of a translation unit calls wait_for_inputs() (shared/prelude.cu.in) on a target where that waits: only
-- such a kernel may be launched before the one that it depends on has ended.
local function waits_for_inputs(source, entry, target)
  if not target.capabilities.dependent_launch then return false end
  source = source:gsub("/%*.-%*/", " "):gsub("//[^\n]*", "")
  local body = source:match("%f[%w_]" .. entry .. "%s*%b()%s*(%b{})")
  return body ~= nil and body:find("wait_for_inputs();", 1, true) ~= nil
end

-- Launch data of a variant (templates/README.md); `source` is what G.render made of it.
function G.launch_data(family, version, tunables, spec, target, source)
  local scope = G.symbolic_scope(family.extents, target, spec, tunables)
  local present, bound = G.scope(target, spec), G.scope(target, spec, tunables)
  local function place(what) return family.label .. ": version " .. version.name .. ": " .. what end
  local function formulas(list, what)
    local out = { "[" }
    for i = 1, 3 do out[i + 1] = G.postfix(list[i] or "1", scope, place(what)) end
    return out
  end
  local tensors = {}
  for _, t in ipairs(family.tensors) do
    if t.when == nil or G.holds(t.when, present, place("tensor " .. t.name)) then table.insert(tensors, t) end
  end
  local format = 1
  for _, launch in ipairs(version.launches) do
    if launch.maps then format = 2 end -- what knows format 1 alone would launch it without them
  end
  return json { "{", { "format", format }, { "kind", version.kind }, { "args_bytes", family.args_bytes },
    { "args", json_list(family.args, function(m) return { "{", { "name", m.name }, { "type", m.type }, { "offset", m.offset } } end) },
    { "tensors", json_list(tensors, function(t)
        return { "{", { "name", t.name }, { "dtype", family.field[t.dtype] and spec[t.dtype] or t.dtype },
                 { "direction", t.direction }, { "pitch", t.pitch or "" }, { "optional", t.optional } }
      end) },
    { "extents", json_list(family.extents, function(name) return name end) },
    { "work", { "{", { "flops", G.postfix(family.work.flops, scope, family.label .. ": work.flops") },
                     { "bytes", G.postfix(family.work.bytes, scope, family.label .. ": work.bytes") } } },
    { "workspace", G.postfix(version.workspace, scope, place("workspace")) },
    { "zero", json_list(version.zero, function(z)
        return { "[", G.postfix(z[1], scope, place("zero")), G.postfix(z[2], scope, place("zero")) }
      end) },
    { "launches", json_list(version.launches, function(launch, i)
        local what = "launches[" .. i .. "]"
        local out = { "{", { "entry", launch.entry }, { "grid", formulas(launch.grid, what .. ".grid") } }
        if version.kind == "cuda" then
          table.insert(out, { "block", formulas(launch.block or {}, what .. ".block") })
          table.insert(out, { "shared", G.postfix(launch.shared or "0", scope, place(what .. ".shared")) })
          local maps = G.launch_maps(family, launch, bound, scope, place(what))
          if maps then table.insert(out, { "maps", maps }) end
          if waits_for_inputs(source, launch.entry, target) then table.insert(out, { "dependent", true }) end
        else
          table.insert(out, { "scratch", G.postfix(launch.scratch or "0", scope, place(what .. ".scratch")) })
        end
        return out
      end) } }
end

-- The whole translation unit of a variant: prelude, args.h, the version's template.
function G.render(family, version, tunables, spec, target, title, main_root)
  local roots = { { path = family.root, label = family.root_label } }
  if main_root.path ~= family.root then table.insert(roots, main_root) end
  local values = { target = { name = target.name, kind = target.kind, facts = target.facts,
                              has = function(name) return target.capabilities[name] == true end },
                   args = family.name .. "_args" }
  for name, value in pairs(spec) do values[name] = value end
  for name, value in pairs(tunables) do values[name] = value end
  local output = new_output()
  table.insert(output.lines, "// Generated by Tunesmith, do not edit: " .. title)
  expand(output, roots, "shared/prelude." .. (version.kind == "cuda" and "cu" or "c") .. ".in", values, 0)
  local number = 0
  for line in family.args_text:gsub("\n?$", "\n"):gmatch("(.-)\n") do
    number = number + 1
    emit(output, family.root_label .. "/" .. family.name .. "/args.h", number, line)
  end
  expand(output, roots, family.name .. "/" .. version.file, values, 0)
  return table.concat(output.lines, "\n") .. "\n"
end
