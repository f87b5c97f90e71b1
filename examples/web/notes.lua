-- Notes in memory: GET /notes/, GET /notes/ID, POST /notes/ with {"text": "..."}, DELETE /notes/ID.
--
-- Each loop thread has a Lua state of its own, so the notes are where all of them see them: mtev.shared_*.

module(..., package.seeall)

local lock = mtev.semaphore("notes", 1) -- one change at a time

local function notes() return mtev.shared_get("notes") or {} end

local function change(f)
  lock:acquire()
  local all = notes()
  local ok, result = pcall(f, all)
  if ok then mtev.shared_set("notes", all) end
  lock:release()
  if not ok then error(result, 0) end
  return result
end

local function answer(http, code, value)
  http:status(code)
  http:header("Content-Type", "application/json")
  http:write(mtev.tojson(value):tostring() .. "\n")
  http:flush_end()
end

local actions = {}

function actions.GET(http, _, id)
  if not id then return answer(http, 200, { notes = notes() }) end
  local note = notes()[id]
  if not note then return answer(http, 404, { error = "no note " .. id }) end
  answer(http, 200, note)
end

function actions.POST(http, request)
  local json = mtev.parsejson(request:payload() or "")
  local given = json and json:document()
  if type(given) ~= "table" or type(given.text) ~= "string" then
    return answer(http, 400, { error = 'expected an object with a "text"' })
  end
  answer(http, 201, change(function(all)
    local id = tostring(mtev.shared_seq("note") + 1)
    all[id] = { id = id, text = given.text, made = mtev.time() }
    return all[id]
  end))
end

function actions.DELETE(http, _, id)
  local removed = id and change(function(all)
    local note = all[id]
    all[id] = nil
    return note
  end)
  if not removed then return answer(http, 404, { error = "no such note" }) end
  answer(http, 200, removed)
end

function handler(rest)
  local http = rest:http()
  local request = http:request()
  local path = request:uri():gsub("^/notes/", "")
  if path:find("/") then return end -- a 404
  local method = request:method()
  actions[method == "HEAD" and "GET" or method](http, request, path ~= "" and path or nil) -- HEAD is GET without its body
end
