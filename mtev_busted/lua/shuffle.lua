-- Orders of lists: by name, or at random from a seed, the same everywhere.

local M = {}

-- The order that busted gives for the same seed: math.random's, from the end of the list.
function M.shuffle(list, seed)
  math.randomseed(seed)
  for i = #list, 1, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
end

-- Sorts elements by name; equal names keep their order.
function M.sort(list)
  local place = {}
  for i, element in ipairs(list) do place[element] = i end
  table.sort(list, function(a, b)
    local name_a, name_b = a.name or "", b.name or ""
    if name_a ~= name_b then return name_a < name_b end
    return place[a] < place[b]
  end)
end

return M
