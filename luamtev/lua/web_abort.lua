-- rest:on_abort: what a handler wants done when its client goes away before the answer is done.
--
-- A coroutine beside the handler's waits for that on a ticket.  Whoever serves the request, the context's `side`, has true
-- delivered once the client is gone, or false once the answer is done.  A handler that is cancelled, which is what may be
-- wanted, leaves nobody to answer: the answer is a 500 then, or cut off where it is.

local home, close_with = ...

local kernel, border = home.kernel, home.border
local setmetatable, pcall = setmetatable, pcall

local contexts -- task of a handler -> its context, once there is one

local function cut_off(context)
  close_with(context, 500, "text/plain", "Internal Server Error\n")
  if context.handle then border.web_release(context.handle) end
end

local function cut_off_when_cancelled(context)
  if not contexts then
    contexts = setmetatable({}, { __mode = "k" })
    kernel.on_leaving(function(task)
      local abandoned = contexts[task]
      if not abandoned then return end
      contexts[task] = nil
      if not abandoned.ended then pcall(cut_off, abandoned) end -- it raises where all is over anyway
    end)
  end
  contexts[context.task] = context
  if context.task == kernel.running() then kernel.keep() end -- it is this handler's alone from now on
end

local function wait(ticket, f)
  if kernel.await(ticket) then f() end
end

-- Has f() called, in a coroutine of its own, once the client goes away.  False when the answer is done.
return function(context, f)
  kernel.keep()
  local ticket = kernel.ticket()
  kernel.spawn(wait, ticket, f)
  if not context.side.watch(context, ticket) then
    kernel.deliver(ticket, false)
    return false
  end
  if not context.ended then cut_off_when_cancelled(context) end
  return true
end
