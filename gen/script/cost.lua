-- Costs: what the launches of a variant ask of a target's chip, by the family's own estimate (family.lua, launch.cost).
local G = ...

local function product(formulas, scope, where)
  local result = 1
  for _, formula in ipairs(formulas) do result = result * G.integer(formula, scope, where) end
  return result
end

-- A list of { blocks, threads, shared, registers, latency, issue }, one a launch; nil where the version estimates nothing.
function G.costs(family, version, tunables, values, target)
  local scope, list = G.scope(target, values, tunables), {}
  for i, launch in ipairs(version.launches) do
    if not launch.cost then return nil end
    local where = family.label .. ": version " .. version.name .. ": launches[" .. i .. "]"
    list[i] = {
      blocks = product(launch.grid, scope, where .. ".grid"),
      threads = product(launch.block, scope, where .. ".block"),
      shared = G.integer(launch.shared, scope, where .. ".shared"),
      registers = G.number(launch.cost.registers or "0", scope, where .. ".cost.registers"),
      latency = G.number(launch.cost.latency, scope, where .. ".cost.latency"),
      issue = G.number(launch.cost.issue, scope, where .. ".cost.issue"),
    }
  end
  return list
end
