-- Checks of services that speak in lines: a banner, a request and its answer, a conversation as of SMTP.
module(..., package.seeall)

require 'mtev'

local function open(check)
  local e = mtev.socket(check.target)
  local rv, err = e:connect(check.target, check.port, check.timeout or 5)
  if rv ~= 0 then
    e:close()
    return nil, err or "timeout"
  end
  if check.tls then
    rv, err = e:ssl_upgrade_socket(check.certificate, check.key, check.ca_chain, check.ciphers, check.sni)
    if rv ~= 0 then return nil, err end
  end
  return e
end

function banner(check)
  local e, err = open(check)
  if not e then return { state = "bad", message = err } end
  if check.send then e:write(check.send) end
  local line, timed_out = nil, false
  line = e:read(check.stop or "\n", nil, check.timeout or 5, function() timed_out = true end)
  local ip, port = e:peer_name()
  local subject = check.tls and e:ssl_ctx() and e:ssl_ctx().subject or nil
  e:close()
  if timed_out then return { state = "bad", message = "timeout" } end
  if not line then return { state = "bad", message = "no banner" } end
  local matched = check.match == nil or mtev.pcre(check.match)(line)
  return { state = matched and "good" or "bad", banner = (line:gsub("[\r\n]+$", "")), ip = ip, port = port, subject = subject }
end

-- The lines of a reply of several: all but the last have a hyphen behind the code.
local function reply(e)
  local lines = {}
  repeat
    local line = e:read("\r\n")
    if not line then return nil, "connection closed" end
    lines[#lines + 1] = line:sub(5, -3)
  until line:sub(4, 4) ~= "-"
  return lines
end

function smtp(check)
  local e, err = open(check)
  if not e then return { state = "bad", message = err } end
  local talk = { false, "EHLO " .. check.ehlo, "MAIL FROM:<" .. check.from .. ">", "RCPT TO:<" .. check.to .. ">", "DATA",
    "Subject: test\r\n\r\n.", "QUIT" }
  local extensions
  for i, what in ipairs(talk) do
    if what then e:write(what .. "\r\n") end
    local lines, why = reply(e)
    if not lines then return { state = "bad", message = (what or "banner") .. ": " .. why } end
    if i == 2 then extensions = lines end
  end
  e:close()
  return { state = "good", extensions = #extensions - 1 }
end
