module(..., package.seeall)

-- Sends back what it was sent, decoded and encoded.
function handler(rest)
  local http = rest:http()
  local document = mtev.parsejson(http:request():payload()):document()
  http:header("Content-Type", "application/json")
  http:write(mtev.tojson(document):tostring())
  http:flush_end()
end
