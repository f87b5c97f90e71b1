module(..., package.seeall)

-- About 50 microseconds of Lua.
function handler(rest)
  local http = rest:http()
  local sum = 0
  for i = 1, 7000 do sum = (sum + i) % 65521 end
  http:header("Content-Type", "text/plain")
  http:write(tostring(sum))
  http:flush_end()
end
