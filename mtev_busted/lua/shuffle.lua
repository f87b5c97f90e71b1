-- Orders of lists: by name, or at random from a seed, the same everywhere.

local M = {}

local MODULUS, FACTOR = 2147483647, 48271 -- Park and Miller, "minimal standard"

function M.shuffle(list, seed)
  local state = (math.abs(math.floor(tonumber(seed) or 0)) % (MODULUS - 1)) + 1
  for i = #list, 2, -1 do
    state = state * FACTOR % MODULUS
    local j = state % i + 1
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
