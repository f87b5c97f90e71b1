-- mtev.cluster: what this process knows of a cluster it is in.

local home = ...

local class = home.need("mtev/object")
local border, checked, check_bytes = home.border, home.checked, home.need("arguments").check_bytes
local refuse = home.need("arguments").refuse
local exists, size, oldest = checked(border.cluster_exists), checked(border.cluster_size), checked(border.cluster_oldest)
local owners, own, nodes = checked(border.cluster_owners), checked(border.cluster_own), checked(border.cluster_nodes)
local type = type

local function check_count(count, name)
  if count == nil then return 1 end
  if type(count) ~= "number" then
    refuse(2, name, "number of owners", type(count), 4)
  end
  return count
end

local new_cluster = class("mtev.cluster", {
  -- How many nodes it has, dead or alive.
  size = function(self) return (size(self.name)) end,
  -- Whether no living node that this one hears booted earlier.
  am_i_oldest_visible_node = function(self) return (oldest(self.name)) end,
  -- The nodes that own a key, one unless told otherwise: tables as of nodes().
  owners = function(self, key, count)
    return (owners(self.name, check_bytes(key, "owners"), check_count(count, "owners")))
  end,
  -- Whether this one is among them.
  do_i_own = function(self, key, count)
    return (own(self.name, check_bytes(key, "do_i_own"), check_count(count, "do_i_own")))
  end,
  -- The nodes in the order of the configuration: {id, cn, address, port, dead, boot_time, last_contact}, times in seconds.
  nodes = function(self) return (nodes(self.name)) end,
})

-- cluster(name): the cluster of that name, nil where there is none.
function mtev.cluster(name)
  name = check_bytes(name, "cluster")
  if not exists(name) then return nil end
  return new_cluster({ name = name })
end
