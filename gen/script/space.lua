-- Search spaces: which variants of a family exist for a specialization on a target.
--
-- Depth first over the tunables in declared order. A constraint is tested at the depth where its last tunable gets
-- its value, so a branch that breaks it is cut with everything below, and the full product is never walked.
local G, _, table = ...

local function where_of(family, version, what) return family.label .. ": version " .. version.name .. ": " .. what end

-- Constraints by the depth at which they can be tested; 0: none of the version's tunables occur.
local function constraints_by_depth(family, version)
  local by_depth = {}
  for depth = 0, #version.tunables do by_depth[depth] = {} end
  for i, text in ipairs(version.constraints) do
    local names, depth = G.names(text), 0
    for position, tunable in ipairs(version.tunables) do
      if names[tunable.name] then depth = position end
    end
    table.insert(by_depth[depth], { text = text, where = where_of(family, version, "constraint " .. i) })
  end
  return by_depth
end

local function usable(version, target)
  if version.kind ~= target.kind then return false end
  for _, need in ipairs(version.needs) do
    if not target.capabilities[need] then return false end
  end
  return true
end

-- Calls visit(indices) for each solution of a version; indices[i] chooses version.tunables[i].values.
local function solve(family, version, scope, visit)
  local by_depth, indices = constraints_by_depth(family, version), {}
  local function descend(depth)
    for _, constraint in ipairs(by_depth[depth]) do
      if not G.holds(constraint.text, scope, constraint.where) then return end
    end
    local tunable = version.tunables[depth + 1]
    if not tunable then return visit(indices) end
    for i, value in ipairs(tunable.values) do
      indices[depth + 1] = i
      rawset(scope, tunable.name, value)
      descend(depth + 1)
    end
    rawset(scope, tunable.name, nil)
  end
  descend(0)
end

-- Values of a variant by tunable name.
function G.tunable_values(version, indices)
  local values = {}
  for i, tunable in ipairs(version.tunables) do values[tunable.name] = tunable.values[indices[i]] end
  return values
end

-- Whether the variant is in the space; nil, or the constraint or capability that it breaks.
function G.broken_rule(family, version, indices, spec, target)
  if not usable(version, target) then return target.name .. " lacks what version " .. version.name .. " needs" end
  local scope = G.scope(target, spec, G.tunable_values(version, indices))
  for i, text in ipairs(version.constraints) do
    if not G.holds(text, scope, where_of(family, version, "constraint " .. i)) then return text end
  end
end

-- Whether a version is for this specialization at all: its constraints that name no tunable hold.
local function applies(family, version, scope)
  for _, constraint in ipairs(constraints_by_depth(family, version)[0]) do
    if not G.holds(constraint.text, scope, constraint.where) then return false end
  end
  return true
end

-- The default variant: version index and tunable indices; nil if no version has one here.
function G.default_variant(family, spec, target)
  for number, version in ipairs(family.versions) do
    if version.default and usable(version, target) and applies(family, version, G.scope(target, spec)) then
      local scope, indices = G.scope(target, spec), {}
      for i, tunable in ipairs(version.tunables) do
        local where = where_of(family, version, "default." .. tunable.name)
        local wanted = version.default[tunable.name]
        if wanted == nil then error(where .. " is missing", 0) end
        if tunable.index[wanted] == nil then wanted = G.evaluate(wanted, scope, where) end
        indices[i] = tunable.index[wanted]
        if not indices[i] then error(where .. ": " .. tostring(wanted) .. " is not among its values", 0) end
      end
      local broken = G.broken_rule(family, version, indices, spec, target)
      if broken then error(where_of(family, version, "default variant breaks '" .. broken .. "' on " .. target.name), 0) end
      return number, indices
    end
  end
end

-- All variants, default first: list of { version number, index of each tunable's value }.
function G.enumerate(family, spec, target)
  local found, default_version, default_indices = {}, G.default_variant(family, spec, target)
  local function same(a, b)
    for i = 1, #a do if a[i] ~= b[i] then return false end end
    return true
  end
  if default_version then found[1] = { default_version, table.unpack(default_indices) } end
  for number, version in ipairs(family.versions) do
    if usable(version, target) then
      solve(family, version, G.scope(target, spec), function(indices)
        if number == default_version and same(indices, default_indices) then return end
        if #found >= family.cap then
          error(family.label .. ": more than cap = " .. family.cap .. " variants: add constraints or raise the cap", 0)
        end
        table.insert(found, { number, table.unpack(indices, 1, #version.tunables) })
      end)
    end
  end
  return found
end
