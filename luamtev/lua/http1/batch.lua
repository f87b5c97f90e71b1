-- What connections say while they are visited, gathered: it leaves at the end of a batch of visits, so that clients are
-- woken when many answers are there.  What is said at any other time leaves at once.

local home = ...

local new_buffer = require("string.buffer").new
local wire, close = home.need("http1/wire"), home.need("http1/connections").close
local push = wire.push

local HIGH_WATER = 262144 -- bytes not sent yet above which no more are made for a client

local out = new_buffer(wire.READ_SIZE) -- what connections said that are, or were, visited in this batch
local aside = new_buffer(wire.READ_SIZE) -- what any other says
local said_from = 0 -- where in `out` begins what the one that is visited says
local speakers, beginnings, speaker_count = {}, {}, 0 -- those visited before, and where what each said begins

-- visited: the connection that is visited now, or false.  Of a connection the batch keeps said, something of it waits.
local batch = { visited = false }

-- What the connection that is visited has said so far belongs to it.
local function sign()
  local conn = batch.visited
  if #out > said_from then
    speaker_count = speaker_count + 1
    speakers[speaker_count], beginnings[speaker_count], conn.said = conn, said_from, true
    said_from = #out
  end
end

-- A visit is over.
function batch.leave()
  sign()
  batch.visited = false
end

function batch.is_full() return #out > HIGH_WATER end

local function empty(said) if #said > HIGH_WATER then said:free() else said:reset() end end

-- Sends what was said in this batch.
local function deliver()
  if batch.visited then sign() end
  local data, total = out:ref()
  beginnings[speaker_count + 1] = total
  for i = 1, speaker_count do
    local conn, from = speakers[i], beginnings[i]
    speakers[i], conn.said = false, false
    if not conn.gone and not push(conn, data + from, beginnings[i + 1] - from) then close(conn) end
  end
  speaker_count, said_from = 0, 0
  empty(out)
end
batch.deliver = deliver

-- Where *conn* says something: a buffer, which is to be flushed then.
function batch.buffer_of(conn) return conn == batch.visited and out or aside end

-- Sends what *conn* said: now, unless it is visited and says little.  False when the client is gone.
function batch.flush(conn, said)
  if said == out then
    if #out > HIGH_WATER then deliver() end
  else
    if conn.said then deliver() end -- that was before this
    if not push(conn, said:ref(), #said) then close(conn) end
    empty(said)
  end
  return not conn.gone
end

-- It failed half-way, in the kernel: nobody knows what was said.
function batch.give_up()
  for i = 1, speaker_count do if speakers[i] then close(speakers[i]) end end
  if batch.visited then close(batch.visited) end
  batch.visited, speaker_count, said_from = false, 0, 0
  out:reset()
end

return batch
