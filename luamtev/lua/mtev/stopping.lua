-- mtev.stopping: whether the process was told to end, and waiting for that.
--
-- A task that has waited is let come to its end: the process stays until it has (luamtev.api.stopping).

local home = ...

local setmetatable = setmetatable
local border, kernel, checked = home.border, home.kernel, home.checked
local is_stopping, wait = checked(border.stopping_asked), checked(border.stopping_wait)
local stay, leave, call_off = border.stopping_stay, border.stopping_leave, border.ticket_cancel
local huge = math.huge

local staying -- task -> true, once there is one

local function stay_until_the_end_of(task)
  if not staying then
    staying = setmetatable({}, { __mode = "k" })
    kernel.on_leaving(function(ended)
      if not staying[ended] then return end
      staying[ended] = nil
      leave()
    end)
  end
  if staying[task] then return end
  staying[task] = true
  stay()
end

-- Whether the process was told to end; with *timeout*, waits so many seconds for that.
function mtev.stopping(timeout)
  if timeout == nil then return (is_stopping()) end
  timeout = kernel.seconds(timeout, "stopping", 2)
  kernel.parkable()
  stay_until_the_end_of(kernel.current())
  if is_stopping() then return true end
  if timeout <= 0 then
    kernel.sleep(0)
    return (is_stopping())
  end
  local ticket = kernel.ticket()
  wait(ticket)
  if not kernel.await(ticket, timeout < huge and timeout or nil) then call_off(ticket) end
  return (is_stopping())
end
