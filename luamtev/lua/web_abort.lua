-- rest:on_abort: what a handler wants done when its client goes away before the answer is done.
--
-- A coroutine beside the handler's waits for that on a ticket.  Whoever serves the request, the context's `side`, has true
-- delivered once the client is gone, or false once the answer is done.

local kernel = ...

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
  return true
end
