-- Checks that read documents: JSON into metrics, XML into metrics, records of DNS.
module(..., package.seeall)

local HttpClient = require 'mtev.HttpClient'
require 'mtev.extras'

local function fetch(check)
  local body = ""
  local client = HttpClient:new({ consume = function(s) body = body .. (s or "") end })
  local rv, err = client:connect(check.target, check.port)
  if rv ~= 0 then error(err) end
  client:do_request("GET", check.uri, { Host = check.target })
  client:get_response(10 * 1024 * 1024)
  return body
end

local function flatten(into, prefix, value)
  if type(value) == "table" then
    for k, v in pairs(value) do flatten(into, prefix and prefix .. "`" .. k or tostring(k), v) end
  else
    into[prefix] = value
  end
end

function json(check)
  local doc, err, offset = mtev.parsejson(fetch(check))
  if doc == nil then return { state = "bad", message = ("json parse error: %s @%d"):format(err, offset) } end
  local metrics = {}
  flatten(metrics, nil, doc:document())
  return { state = "good", metrics = metrics }
end

function xml(check)
  local doc = mtev.parsexml(fetch(check))
  if doc == nil then return { state = "bad", message = "xml parse error" } end
  local metrics = {}
  for result in doc:xpath("/ResmonResults/ResmonResult") do
    local obj = doc:xpath("service", result)():contents()
    for metric in doc:xpath("metric", result) do
      metrics[obj .. "`" .. (metric:attr("name") or "message")] = metric:contents()
    end
  end
  return { state = "good", metrics = metrics, root = doc:root():name() }
end

function dns(check)
  local dns = mtev.dns(check.nameserver)
  local records = { dns:lookup(check.query, check.rtype or "A", check.ctype or "IN") }
  if #records == 0 then return { state = "bad", message = "no records" } end
  local answers, ttl = {}, nil
  for _, record in ipairs(records) do
    answers[#answers + 1] = record.a or record.aaaa or record.txt or record.mx or record.cname
    ttl = record.ttl
  end
  table.sort(answers)
  return { state = "good", answers = table.concat(answers, ", "), ttl = ttl, rtt = mtev.timeval.now():seconds() > 0 }
end
