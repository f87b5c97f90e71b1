-- Bodies of requests, piece by piece: as they come, where the mount says so (lua_web's stream_NAME), or of one that was
-- read whole before.  What keeps a body from being read to its end is kept in the context as `refusal`, the status of the
-- answer if the handler gives none.

local home = ...

local kernel = home.kernel
local error, concat, sub = error, table.concat, string.sub

local body = { PIECE = 65536 }

local function read_kept(request, most)
  local payload = request.kept
  if not payload then
    payload = request.source.side.payload(request.source) or ""
    request.kept = payload
  end
  local at = request.taken
  if at >= #payload then return nil end
  local piece = sub(payload, at + 1, at + most)
  request.taken = at + #piece
  return piece
end

-- The next piece, of *most* bytes at most; nil at the end; nil and why when it ends before its time.
function body.read(request, most)
  local read = request.source.side.read
  if request.kept or not read then return read_kept(request, most) end
  if kernel.is_waiting(request.ticket) then error("another coroutine reads the body", 3) end
  local ticket = kernel.ticket()
  local piece, why, status = read(request.source, most, ticket)
  if piece == false then return read_kept(request, most) end
  if piece == nil and why == nil then
    request.ticket = ticket
    piece, why, status = kernel.await(ticket)
  end
  if piece == "" then return nil end
  if piece then return piece end
  request.source.refusal = status >= 400 and status or 400
  return nil, why
end

-- All that was not read yet; nil and why as above.
function body.rest(request)
  local pieces, n = {}, 0
  while true do
    local piece, why = body.read(request, body.PIECE)
    if why then return nil, why end
    if not piece then return concat(pieces) end
    n = n + 1
    pieces[n] = piece
  end
end

return body
