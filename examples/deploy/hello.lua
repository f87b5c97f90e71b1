-- GET /hello greets.  GET /health: 200 while this process takes requests, 503 once it was told to end: a balancer looks
-- elsewhere then.

module(..., package.seeall)

local function answer(http, code, text)
  http:status(code)
  http:header("Content-Type", "text/plain")
  http:write(text .. "\n")
  http:flush_end()
end

function handler(rest)
  local http = rest:http()
  if http:request():uri() ~= "/health" then return answer(http, 200, "hello") end
  if mtev.stopping() then return answer(http, 503, "stopping") end
  answer(http, 200, "ok")
end
