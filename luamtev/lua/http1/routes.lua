-- Who serves a method and a path: asked once of the table of rules on the Python side, and remembered until a number in
-- shared memory changes (runtime.http.generation).
--
--   routes.of(remote)                                the answers that hold for a client
--   routes.find(known, number, method, path)         -> an answer of theirs; *number* is the connection that asks
--
-- An answer is a table: mount, the number of a Lua mount of this state, or false for what is not ours; slot, where its
-- latencies are counted; path, the path in its one form; shown, as the log shows it; acl, what access control
-- says of the path, nil until somebody asks; is_slow, whether its handler took long the last time; head, how its last
-- answer began.

local home = ...

local ffi = require("ffi")
local border, checked = home.border, home.checked
local new_head = home.need("http1/framing").new_head
local new_tracing = home.need("http1/tracing")
local decide, renewed, find_log = checked(border.http1_decide), checked(border.http1_renewed), checked(border.log_find)

local MOST = 4096 -- answers remembered

local generation = ffi.cast("const volatile uint32_t *", ffi.cast("uintptr_t", border.http1_generation_address()))
local enabled = ffi.cast("const volatile uint8_t *", ffi.cast("uintptr_t", border.log_enabled_address()))
local IO, DEBUG_HTTP, DEBUG_REST = find_log("http/io"), find_log("debug/http"), find_log("debug/rest")
local cells = home.need("mtev/trace").cells
local POINTS = { border.http1_trace_points() } -- places of the trace points that each request passes
local seen = -1 -- the generation of what is remembered
local by_client, count = {}, 0
local same_for_all = false -- access control asks for nobody's address
local everybody = {}

-- hooked: there are functions on hooks of HTTP; heard: somebody listens at trace points; serial changes when what
-- routes.of gave is to be asked for again; traced: whether a request is traced, by the headers of its trace
-- (tracing.lua), or false while none is.
local routes = { hooked = false, heard = false, serial = 0, traced = false }

local function forget()
  by_client, everybody, count = {}, {}, 0
  routes.serial = routes.serial + 1
end

-- Forgets all answers when they may be others now.  To be called before any of the others, often.
function routes.renew()
  if generation[0] == seen then return end
  seen = generation[0]
  local new, parented, debug, context, seed
  routes.hooked, same_for_all, new, parented, debug, context, seed = renewed()
  routes.traced = new and new_tracing({ new = new, parented = parented, debug = debug, context = context }, seed) or false
  forget()
end

-- Looks who listens at trace points.  To be called before each batch: a loop among its requests would cut it in pieces.
function routes.listen()
  local heard = 0
  for at = 1, #POINTS do heard = heard + cells[POINTS[at]] end
  routes.heard = heard ~= 0
end

-- Whether somebody wants to see each request, as an object, in the log or at its trace points.
function routes.is_watched()
  return routes.hooked or routes.heard or enabled[IO] + enabled[DEBUG_HTTP] + enabled[DEBUG_REST] ~= 0
end

function routes.of(client)
  if same_for_all then return everybody end
  local known = by_client[client]
  if not known then
    if count >= MOST then forget() end
    known = {}
    by_client[client], count = known, count + 1
  end
  return known
end

function routes.find(known, number, method, path)
  local of_method = known[method]
  local answer = of_method and of_method[path]
  if answer then return answer end
  local mount, slot, normal, shown = decide(number, method, path)
  answer = { mount = mount, slot = slot, path = normal, shown = shown, acl = nil, is_slow = false,
    head = new_head() }
  if count >= MOST then
    forget() -- *known* goes on for as long as its holder holds it
    return answer
  end
  if not of_method then
    of_method = {}
    known[method] = of_method
  end
  of_method[path], count = answer, count + 1
  return answer
end

return routes
