-- The reactor's calls where there is no epoll: every wait is a watcher of the hub's, made and ended outside Lua.

local home = ...

local error, pairs = error, pairs
local kernel, border = home.kernel, home.border

local READ, WRITE = 1, 2
local waiting = { [READ] = {}, [WRITE] = {} } -- mask -> fd -> ticket

local reactor = { READ = READ, WRITE = WRITE, quiet = {} }

function reactor.wait(fd, mask, timeout)
  local registry = waiting[mask]
  if kernel.is_waiting(registry[fd]) then error("another coroutine waits for descriptor " .. fd, 2) end
  kernel.parkable()
  local ticket = kernel.ticket()
  local refused = border.watch(fd, mask, ticket)
  if refused then error("cannot wait for descriptor " .. fd .. ": " .. refused, 2) end
  registry[fd] = ticket
  local ready = kernel.await(ticket, timeout)
  if registry[fd] == ticket then registry[fd] = nil end
  if ready == nil then border.unwatch(ticket) return end
  return ready
end

function reactor.drained() end -- a watcher's first call is no quicker than an attempt to read

function reactor.forget(fd)
  for _, registry in pairs(waiting) do
    local ticket = registry[fd]
    registry[fd] = nil
    if kernel.is_waiting(ticket) then
      border.unwatch(ticket)
      kernel.deliver(ticket, false)
    end
  end
end

return reactor
