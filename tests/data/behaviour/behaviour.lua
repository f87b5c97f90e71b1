module(..., package.seeall)
-- Behaviour probes: one `name -> result` a line.  arg[2]: only the probes whose name contains it; arg[3]: only those of a family.
local only = arg[2]
local last = 0
local function text(v)
  if type(v) == "string" then v = v:gsub("%z", "\\0"):gsub("\r", "\\r"):gsub("\n", "\\n") return v end
  if type(v) == "table" then
    local o, n = {}, #v
    for i = 1, n do o[#o+1] = text(v[i]) end
    local ks = {}
    for k in pairs(v) do if not (type(k) == "number" and k >= 1 and k <= n) then ks[#ks+1] = k end end
    table.sort(ks, function(a, b) return tostring(a) < tostring(b) end)
    for _, k in ipairs(ks) do o[#o+1] = tostring(k) .. "=" .. text(v[k]) end
    return "{" .. table.concat(o, ",") .. "}"
  end
  local s = tostring(v)
  if type(v) ~= "number" and type(v) ~= "boolean" and type(v) ~= "nil" then s = type(v) == "cdata" and s or "<object>" end
  return s
end
local function pack(...) return { n = select("#", ...), ... } end
local function P(name, f)
  if only and not name:find(only, 1, true) then return end
  local r = pack(pcall(f))
  local o = {}
  for i = 2, r.n do o[#o+1] = text(r[i]) end
  local s = table.concat(o, " | ")
  if not r[1] then s = "raises " .. s:gsub("^.-%.lua\"?%]?:%d+: ", "") end
  s = s:gsub("/%S-%.lua:%d+: ", "")
  mtev.log("stdout", "%s -> %s\n", name, s)
end
local function E(f, ...) -- error text only
  local ok, e = pcall(f, ...)
  if ok then return "no error" end
  return (tostring(e):gsub("^.-%.lua:%d+: ", ""))
end
local function Q(f, ...) return pcall(f, ...) and "returns" or "raises" end -- only whether it raises
local function ty(v) local t = type(v) return (t == "userdata" or t == "table" or t == "cdata") and "object" or t end
local spawn = mtev.coroutine_spawn
local seq = 0
local function key(p) seq = seq + 1 return p .. "-" .. seq end

-- a listener on a free port that runs f(client, n) for each of `times` clients
local function serve(f, times)
  local s = mtev.socket("inet") s:bind("127.0.0.1", 0) s:listen(10)
  local _, port = s:sock_name()
  spawn(function()
    local l = s:own()
    for n = 1, times or 1 do local c = l:accept() if c then f(c, n) c:close() end end
    l:close()
  end)
  return port
end
local function dial(port) local e = mtev.socket("inet") local rv, err = e:connect("127.0.0.1", port, 2) if rv ~= 0 then error(err) end return e end

function processes()
  local function run(p) local path, argv, env = unpack(p) local c, i, o, e if env then c, i, o, e = mtev.spawn(path, argv, env) else c, i, o, e = mtev.spawn(path, argv) end i:close() local out = o:read(100000) local err = e:read(100000) local s = c:wait(5) return s, out, err end
  P("spawn env array", function() return run{"/usr/bin/env", {"env"}, {"A=1", "B=x y"}} end)
  P("spawn argv zero", function() return run{"/bin/sh", {"renamed", "-c", "echo $0"}} end)
  P("spawn argv numbers", function() return run{"/bin/echo", {"echo", 12, 1.5}} end)
  P("spawn stderr apart", function() return run{"/bin/sh", {"sh", "-c", "echo out; echo err >&2; exit 2"}} end)
  P("spawn missing waits", function() local c = mtev.spawn("/no/such/program", {"x"}) return c:wait(1) end)
  P("wait twice", function() local c = mtev.spawn("/bin/sh", {"sh", "-c", "exit 4"}) return c:wait(2), c:wait(0), c:wait(1) end)
  P("wait zero running", function() local c = mtev.spawn("/bin/sleep", {"sleep", "5"}) local a, b = c:wait(0) c:kill(9) c:wait(1) return a, b end)
  P("kill after exit", function() local c = mtev.spawn("/bin/true", {"true"}) c:wait(1) return c:kill(15) end)
  P("kill signal zero", function() local c = mtev.spawn("/bin/sleep", {"sleep", "5"}) local a, b = c:kill(0) c:kill(9) c:wait(1) return a, b end)
  P("pgkill returns", function() local c = mtev.spawn("/bin/sleep", {"sleep", "5"}) local a, b = c:pgkill(9) local s = c:wait(1) return a, b, s end)
  P("stdout large", function() local c, i, o = mtev.spawn("/bin/sh", {"sh", "-c", "head -c 300000 /dev/zero"}) local d = o:read(300000) return #d, o:read(1), c:wait(2) end)
  P("stdout lines", function() local c, i, o = mtev.spawn("/usr/bin/printf", {"printf", "a\\nb\\n\\nc"}) local r = {} for n = 1, 6 do local l = o:read("\n") if not l then break end r[n] = l end c:wait(1) return r end)
  P("write to dead child", function() local c, i = mtev.spawn("/bin/true", {"true"}) c:wait(1) mtev.sleep(0.05) return i:write("x") end)
  P("stopped and continued", function() return mtev.WIFSTOPPED(0x137f), mtev.WSTOPSIG(0x137f), mtev.WIFCONTINUED(0xffff), mtev.WIFCONTINUED(0), mtev.WCOREDUMP(0x8b), mtev.WCOREDUMP(0x0b) end)
  P("exec status", function() return mtev.exec("/bin/sh", {"sh", "-c", "echo e >&2; exit 9"}) end)
  P("exec default argv", function() return mtev.exec("/bin/pwd") ~= nil end)
  P("exec env map", function() local s, o = mtev.exec("/usr/bin/env", {"env"}, {A = "x"}) return s, o end)
  P("exec env number", function() local s, o = mtev.exec("/usr/bin/env", {"env"}, {A = 1}) return s, o end)
  P("exec env array", function() local s, o = mtev.exec("/usr/bin/env", {"env"}, {"A=1", "B=2"}) return s, o end)
  P("exec no path", function() return Q(mtev.exec) end)
  P("exec timeout", function() return mtev.exec("/bin/sleep", {"sleep", "9"}, {}, 0.2) end)
  P("sh shell", function() return mtev.sh("echo $0", 5, "/bin/bash") end)
end

function proc()
  local S = {path = "/bin/sh"}
  local function sh(cmd, more) local t = {path = "/bin/sh", argv = {"sh", "-c", cmd}} for k, v in pairs(more or {}) do t[k] = v end return mtev.Proc:new(t) end
  P("proc pid before", function() return sh("true"):pid() end)
  P("proc wait before", function() return sh("true"):wait(1) end)
  P("proc start self", function() local p = sh("exit 0") return p:start() == p, p:wait(2) end)
  P("proc start twice", function() local p = sh("sleep 5"):start() local e = Q(p.start, p) p:kill() return e end)
  P("proc wait signalled", function() return sh("kill -9 $$"):start():wait(2) end)
  P("proc pid after", function() local p = sh("exit 0"):start() local a = p:pid() > 1 p:wait(2) return a, type(p:pid()) end)
  P("proc ready", function() local p = sh("echo ready >&2; sleep 5"):start() local r = p:ready() p:kill() return r end)
  P("proc stdout ignored", function() local p = sh("echo ready; exit 0", {boot_timeout = 0.3}):start() return p:ready() end)
  P("proc logwatch", function() local p = sh("sleep 0.1; echo one >&2; echo two >&2; echo three >&2") local w = p:logwatch("^t") p:start() local r = {w:wait(1), w:wait(1), w:wait(0.3) or "none"} p:wait(1) return r end)
  P("proc logwatch function", function() local p = sh("sleep 0.1; echo one >&2; echo two >&2") local w = p:logwatch(function(l) return l:find("tw") end) p:start() local r = w:wait(1) p:wait(1) return r end)
  P("proc logwatch limit", function() local p = sh("sleep 0.1; echo a1 >&2; echo a2 >&2; echo a3 >&2") local w = p:logwatch("a", 2) p:start() local r = {w:wait(1) or "none", w:wait(0.5) or "none", w:wait(0.3) or "none"} p:wait(1) return r end)
  P("proc logwatch stop", function() local p = sh("sleep 0.1; echo a1 >&2; sleep 0.2; echo a2 >&2") local w = p:logwatch("a") p:start() mtev.sleep(0.2) local s = pack(w:stop()) mtev.sleep(0.3) return s.n, w:wait(0.1) or "none" end)
  P("proc logwatch dot star", function() local p = sh("sleep 0.1; printf 'no newline' >&2") local w = p:logwatch(".") p:start() return w:wait(1) end)
  P("proc kill after exit", function() local p = sh("exit 3"):start() mtev.sleep(0.2) return p:kill() end)
  P("proc env", function() local p = sh("echo $A$B >&2", {env = {A = "1", B = "2"}}) local w = p:logwatch(".") p:start() return w:wait(1) end)
  P("proc missing program", function() local p = mtev.Proc:new{path = "/no/such"} local ok = pcall(p.start, p) return ok end)
end

function sockets()
  P("read terminator split", function() local port = serve(function(c) c:write("ab\r") mtev.sleep(0.05) c:write("\ncd") mtev.sleep(0.02) end) local e = dial(port) local a, b = e:read("\r\n"), e:read(10) e:close() return a, b end)
  P("read numeric string", function() local port = serve(function(c) c:write("abcdefgh") end) local e = dial(port) local r = {e:read("3"), e:read(2)} e:close() return r end)
  P("read after eof", function() local port = serve(function(c) c:write("abc") end) local e = dial(port) local a, b = e:read(10), e:read(4) e:close() return a, b end)
  P("read discard", function() local port = serve(function(c) c:write("abc") end) local e = dial(port) local r = pack(e:read()) e:close() return r[1] end)
  P("write nil", function() local port = serve(function(c) mtev.sleep(0.05) end) local e = dial(port) local r = pack(e:write(nil)) e:close() return r.n, r[1], r[2] end)
  P("write big", function() local n = 2000000 local port = serve(function(c) local k = c:write(("y"):rep(n)) c:write("|" .. k .. "\n") end) local e = dial(port) local d = e:read(n) local k = e:read("\n") e:close() return #d, d:sub(-1), k end)
  P("write to closed peer", function() local port = serve(function(c) end) local e = dial(port) mtev.sleep(0.1) local a = e:write("1") mtev.sleep(0.1) local b = pack(e:write("2")) return a, b[1], b.n, b[2] end)
  P("send empty", function() local port = serve(function(c) mtev.sleep(0.05) end) local e = dial(port) local r = pack(e:send("")) e:close() return r.n, r[1] end)
  P("send unconnected", function() local e = mtev.socket("inet") return e:send("x") end)
  P("sendto bad address", function() local e = mtev.socket("inet", "udp") return e:sendto("x", "nothost", 1) end)
  P("recv udp truncated", function() local a = mtev.socket("inet", "udp") a:bind("127.0.0.1", 0) local _, port = a:sock_name() local b = mtev.socket("inet", "udp") b:sendto("0123456789", "127.0.0.1", port) b:sendto("next", "127.0.0.1", port) local n, d = a:recv(4) local m, f = a:recv(100) return n, d, m, f end)
  P("udp connected", function() local a = mtev.socket("inet", "udp") a:bind("127.0.0.1", 0) local _, port = a:sock_name() local b = mtev.socket("inet", "udp") local rv = b:connect("127.0.0.1", port) local n = b:send("hello") local m, d, ip, p = a:recv(100) local _, bp = b:sock_name() return rv, n, m, d, ip, p == bp end)
  P("own same coroutine", function() local e = mtev.socket("inet") local r = pack(e:own()) return r.n end)
  P("own invalidates", function() local e = mtev.socket("inet") local out spawn(function() local n = e:own() out = type(n) == type(e) end) return out, E(e.sock_name, e), E(e.read, e, 1), E(e.write, e, "x") end)
  P("own keeps bytes", function() local port = serve(function(c) c:write("line\nrest") mtev.sleep(0.2) end) local e = dial(port) local a = e:read("\n") local k = key("own") spawn(function() local n = e:own() mtev.notify(k, n:read(4)) end) local _, b = mtev.waitfor(k, 2) return a, b end)
  P("owner ended", function() local e spawn(function() e = mtev.socket("inet") end) mtev.sleep(0.05) return E(e.bind, e, "127.0.0.1", 0) end)
  P("owner ended closes peer", function() local port = serve(function(c) mtev.sleep(0.3) end) local e local seen local p2 = serve(function(c) local d = c:read("\n") seen = d == nil and "eof" or d end) spawn(function() e = mtev.socket("inet") e:connect("127.0.0.1", p2) end) mtev.sleep(0.2) return seen end)
  P("after close", function() local e = mtev.socket("inet") e:close() return E(e.read, e, 1), E(e.write, e, "a"), E(e.sock_name, e), E(e.recv, e, 1), E(e.listen, e, 1), E(e.setsockopt, e, "SO_KEEPALIVE", 1) end)
  P("close wakes peer", function() local port = serve(function(c) mtev.sleep(0.05) end) local e = dial(port) local r = e:read("\n") e:close() return r end)
  P("bind text port", function() local s = mtev.socket("inet") return s:bind("127.0.0.1", "0") end)
  P("bind bad address", function() local s = mtev.socket("inet") return s:bind("nothost", 0) end)
  P("bind family", function() local s = mtev.socket("inet") return s:bind("::1", 0) end)
  P("accept not listening", function() local s = mtev.socket("inet") s:bind("127.0.0.1", 0) return s:accept() end)
  P("accept peer", function() local s = mtev.socket("inet") s:bind("127.0.0.1", 0) s:listen(5) local _, port = s:sock_name() local a = dial(port) local x = s:accept() local ip, p = x:peer_name() local _, ap = a:sock_name() local lip, lp = x:sock_name() return ip, p == ap, lip, lp == port end)
  P("connect text port", function() local port = serve(function(c) end) local e = mtev.socket("inet") return e:connect("127.0.0.1", tostring(port)) end)
  P("names inet6", function() local s = mtev.socket("inet6") local r = s:bind("::1", 0) s:listen(1) local _, port = s:sock_name() local e = mtev.socket("::1") local c = e:connect("::1", port) return r, c, (e:peer_name()), (e:sock_name()) end)
  P("setsockopt values", function() local e = mtev.socket("inet") local o = {} for _, n in ipairs{"SO_BROADCAST", "SO_REUSEADDR", "SO_REUSEPORT", "SO_KEEPALIVE", "SO_LINGER", "SO_OOBINLINE", "SO_SNDBUF", "SO_RCVBUF", "SO_DONTROUTE", "SO_RCVLOWAT", "SO_RCVTIMEO", "SO_SNDLOWAT", "SO_SNDTIMEO"} do local a, b = e:setsockopt(n, 1) o[#o+1] = n .. ":" .. tostring(a) .. (b and (" " .. b) or "") end return o end)
  P("setsockopt wrong args", function() local e = mtev.socket("inet") return e:setsockopt("SO_KEEPALIVE") end)
  P("ssl ctx plain", function() local e = mtev.socket("inet") return e:ssl_ctx() end)
  P("read timeout enough", function() local port = serve(function(c) mtev.sleep(0.05) c:write("ok\n") end) local e = dial(port) local n = 0 local a = e:read("\n", nil, 1, function() n = n + 1 end) return a, n end)
end

function tls()
  local dir = "/tmp/b2-tls-" .. mtev.getpid()
  mtev.mkdir(dir, 493)
  local kf, cf = dir .. "/k.pem", dir .. "/c.pem"
  mtev.sh("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/C=XX/O=Org/CN=test.local' -addext 'subjectAltName=DNS:test.local,DNS:www.test.local' -keyout " .. kf .. " -out " .. cf, 20)
  local s = mtev.socket("inet") s:bind("127.0.0.1", 0) local _, port = s:sock_name() s:close() mtev.sleep(0.05)
  local srv, i = mtev.spawn("openssl", {"openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-cert", cf, "-key", kf, "-quiet", "-rev"}, {"PATH=/usr/bin:/bin"})
  for n = 1, 50 do local e = mtev.socket("inet") if e:connect("127.0.0.1", port) == 0 then e:close() break end mtev.sleep(0.1) end
  P("tls upgrade bad ciphers", function() local e = dial(port) local r = pack(e:ssl_upgrade_socket(nil, nil, nil, "NOSUCH")) e:close() return r[1], r[2] end)
  P("tls certificate", function() local e = dial(port) e:ssl_upgrade_socket() local c = e:ssl_ctx().peer_certificate local r = {ty(c) , c.signature_algorithm, c.bits, c.type, type(c.serial), c.purpose and type(c.purpose)} e:close() return r end)
  P("tls layer", function() local e = dial(port) local a = e:ssl_upgrade_socket(nil, nil, nil, nil, "test.local", "tlsv1.2") local v = a == 0 and e:ssl_ctx().ssl_session.ssl_version e:close() return a, v end)
  P("tls to plain server", function() local p = serve(function(c) c:read(1) c:write("HTTP/1.1 400 no\r\n\r\n") mtev.sleep(0.1) end) local e = dial(p) local r = pack(e:ssl_upgrade_socket()) return r[1] end)
  srv:kill(9) srv:wait(1)
  mtev.unlink(kf) mtev.unlink(cf) mtev.rmdir(dir)
end

function http()
  local HttpClient = require("mtev.HttpClient")
  -- one exchange: the server sends `pieces` after the request's header block; returns client, body, the request text
  local function get(pieces, o)
    o = o or {}
    if type(pieces) == "string" then pieces = {pieces} end
    local req = {}
    local port = serve(function(c)
      while true do local l = c:read("\n") if not l then break end req[#req+1] = l if l == "\r\n" or l == "\n" then break end end
      if o.body then req.body = c:read(o.body) end
      for _, p in ipairs(pieces) do if type(p) == "number" then mtev.sleep(p) else c:write(p) end end
    end)
    local body, hooks = {}, o.hooks or {}
    local nils = 0
    hooks.consume = hooks.consume or function(s) if s == nil then nils = nils + 1 else body[#body+1] = s end end
    local cl = HttpClient:new(hooks)
    if o.timeout then cl:set_timeout(o.timeout, o.on_timeout) end
    local rv, err = cl:connect("127.0.0.1", port)
    if rv ~= 0 then error(err) end
    cl:do_request(o.method or "GET", o.uri or "/x?y=1", o.headers or {}, o.payload, o.version)
    local ok, e = pcall(cl.get_response, cl, o.limit)
    if not ok then e = tostring(e):gsub("^.-%.lua:%d+: ", "") end
    local h = {} for i = 2, #req - 1 do h[#h+1] = req[i]:gsub("\r\n", "") end
    table.sort(h)
    return cl, table.concat(body), ok or e, {line = req[1], headers = h, body = req.body}
  end
  local R = "HTTP/1.1 200 OK\r\n"
  P("http request own agent", function() local c, b, ok, q = get(R .. "Content-Length: 0\r\n\r\n", {headers = {["User-Agent"] = "me", Accept = "text/plain", ["Accept-Encoding"] = "identity"}}) return q.headers end)
  P("http request method case", function() local c, b, ok, q = get(R .. "Content-Length: 0\r\n\r\n", {method = "get"}) return q.line, c.method end)
  P("http post", function() local c, b, ok, q = get(R .. "Content-Length: 0\r\n\r\n", {method = "POST", payload = "hello", body = 5}) return q.line, q.headers, q.body end)
  P("http post own length", function() local c, b, ok, q = get(R .. "Content-Length: 0\r\n\r\n", {method = "POST", payload = "abc", body = 3, headers = {["Content-Length"] = "99", ["Content-Type"] = "t"}}) return q.headers end)
  P("http get own length", function() local c, b, ok, q = get(R .. "Content-Length: 0\r\n\r\n", {headers = {["Content-Length"] = "99"}}) return q.headers end)
  P("http headers not changed", function() local h = {A = "1"} get(R .. "Content-Length: 0\r\n\r\n", {headers = h}) return h end)
  P("http headers required", function() local cl = HttpClient:new() local port = serve(function(c) mtev.sleep(0.1) end) cl:connect("127.0.0.1", port) return pcall(cl.do_request, cl, "GET", "/", nil) end)
  P("http length short", function() local c, b, ok = get(R .. "Content-Length: 50\r\n\r\nhello") return b, ok, c.content_bytes end)
  P("http length empty eof", function() local c, b, ok = get(R .. "Content-Length: 50\r\n\r\n") return b, ok == true end)
  P("http length zero", function() local c, b, ok = get(R .. "Content-Length: 0\r\n\r\n") return b, ok, c.content_bytes end)
  P("http chunked case", function() local c, b, ok = get(R .. "transfer-encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n") return b, ok end)
  P("http chunked upper", function() local c, b, ok = get(R .. "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") return b, ok end)
  P("http chunked trailers", function() local c, b, ok = get(R .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n") return b, ok, c.headers["x-t"] end)
  P("http chunked short", function() local c, b, ok = get(R .. "Transfer-Encoding: chunked\r\n\r\n9\r\nhello") return b, ok end)
  P("http chunked limit", function() local c, b, ok = get(R .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n5\r\nagain\r\n0\r\n\r\n", {limit = 7}) return b, ok, c.truncated end)
  P("http limit exact", function() local c, b, ok = get(R .. "Content-Length: 4\r\n\r\n0123", {limit = 4}) return b, ok, c.truncated end)
  P("http close empty", function() local c, b, ok = get{R .. "\r\n"} return b, ok == true end)
  P("http not modified", function() local c, b, ok = get("HTTP/1.1 304 Not Modified\r\n\r\n") return c.code, b, ok == true end)
  P("http redirect", function() local c, b, ok = get("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 2\r\n\r\ngo") return c.code, c.headers.location, b end)
  P("http error status", function() local c, b, ok = get("HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad") return c.code, b, ok end)
  P("http continue", function() local c, b, ok = get("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") return c.code, b, ok end)
  P("http status no reason", function() local c, b, ok = get("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok") return c.code, b, ok end)
  P("http status one zero", function() local c, b, ok = get("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok") return c.code, c.protocol, b, ok end)
  P("http malformed header", function() local c, b, ok = get(R .. "no colon here\r\n\r\n") return ok end)
  P("http no response", function() local c, b, ok = get("") return ok end)
  P("http header eof", function() local c, b, ok = get(R .. "A: b\r\n") return ok end)
  P("http folded header", function() local c, b, ok = get(R .. "X-A: one\r\n  two\r\n\tthree\r\nContent-Length: 0\r\n\r\n") return c.headers["X-A"] end)
  P("http lf lines", function() local c, b, ok = get("HTTP/1.1 200 OK\nContent-Length: 2\nX: y\n\nok") return c.code, b, c.headers.x, ok end)
  P("http connected hook", function() local n, seen = 0 get(R .. "Content-Length: 0\r\n\r\n", {hooks = {connected = function(...) n = n + 1 seen = select("#", ...) end}}) return n, seen end)
  local gz = mtev.base64_decode("H4sIAAAAAAAAA8tIzcnJVyjPL8pJAQCFEUoNCwAAAA==")
  P("http gzip broken", function() local c, b, ok = get(R .. "Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\ngarbage") return ok end)
  P("http encoding unknown", function() local c, b, ok = get(R .. "Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc") return ok end)
  P("http encoding identity", function() local c, b, ok = get(R .. "Content-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc") return b, ok end)
  P("http host name", function() return (Q(function() local c = HttpClient:new() return c:connect("no host", 80) end)) end)
  P("http headers then body", function() local port = serve(function(c) c:read("\r\n\r\n") c:write(R .. "Content-Length: 2\r\n\r\nok") end) local b = "" local c = HttpClient:new{consume = function(s) b = b .. s end} c:connect("127.0.0.1", port) c:do_request("GET", "/", {}) c:get_headers() local a = c.code local n = b c:get_body() return a, "[" .. n .. "]", b end)
end

function api()
  local function one(answer, f, body)
    local req = {}
    local port = serve(function(c)
      while true do local l = c:read("\n") if not l or l == "\r\n" then break end req[#req+1] = (l:gsub("\r\n", "")) end
      if body then req.body = c:read(body) end
      c:write(answer)
    end)
    local r = pack(f(mtev.Api:http("127.0.0.1", port), port))
    local h = {} for i = 2, #req do h[#h+1] = req[i] end table.sort(h)
    req.headers = h
    return req, unpack(r, 1, r.n)
  end
  local R = "HTTP/1.1 200 OK\r\n"
  P("api get", function() local q, r = one(R .. "Content-Length: 2\r\n\r\nok", function(a) return a:get("/p?q=1") end) return q[1], q.headers, r:rc(), r:text() end)
  P("api json", function() local q, r = one(R .. "Content-Length: 13\r\n\r\n{\"a\":[1,2,3]}", function(a) return a:get("/") end) return r:check():json() end)
  P("api check redirect", function() local q, r = one("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", function(a) return a:get("/") end) return E(function() return r:check() end) end)
  P("api post text", function() local q, r = one(R .. "Content-Length: 0\r\n\r\n", function(a) return a:post("/p", "text") end, 4) return q.headers, q.body end)
  P("api put", function() local q, r = one(R .. "Content-Length: 0\r\n\r\n", function(a) return a:put("/p", "x") end, 1) return q[1], q.body end)
  P("api request", function() local q, r = one(R .. "Content-Length: 0\r\n\r\n", function(a) return a:request("DELETE", "/p") end) return q[1], r:rc() end)
  P("api headers", function() local q, r = one(R .. "Content-Length: 0\r\n\r\n", function(a) return a:get("/p", nil, {["X-One"] = "1", Accept = "a/b"}) end) return q.headers end)
  P("api stored headers", function() local q, r = one(R .. "Content-Length: 0\r\n\r\n", function(a, port) return mtev.Api:http("127.0.0.1", port, {["X-S"] = "s"}):get("/p") end) return q.headers end)
  P("api refused check", function() local r = mtev.Api:http("127.0.0.1", 1):get("/") return E(function() return r:check() end) end)
  P("api port text", function() local q, r = one(R .. "Content-Length: 2\r\n\r\nok", function(a, port) return mtev.Api:http("127.0.0.1", tostring(port)):get("/") end) return r:text() end)
  P("api fields", function() local a = mtev.Api:http("127.0.0.1", 80, {A = "1"}) return a.host, a.port, a.headers end)
end

function regex()
  local function all(re, s, o) local m = mtev.pcre(re) local r = {} for i = 1, 12 do local x = pack(m(s, o)) if not x[1] then break end r[#r+1] = x[2] end return r end
  P("pcre case", function() return mtev.pcre("(?i)ABC")("xabc") end)
  P("pcre anchor", function() return all("^a", "aaa") end)
  P("pcre word list", function() return all("\\w+", "the quick  fox") end)
  P("pcre named", function() return mtev.pcre("(?<y>\\d{4})-(?<m>\\d\\d)")("on 2020-05") end)
  P("pcre nested", function() return mtev.pcre("((a)(b(c)?))(d)?")("ab") end)
  P("pcre trailing optional", function() return select("#", mtev.pcre("(a)(b)?(c)?")("a")), mtev.pcre("(a)(b)?(c)?")("a") end)
  P("pcre middle optional", function() return mtev.pcre("(a)(b)?(c)")("ac") end)
  P("pcre nul", function() return mtev.pcre("a.b")("xa\0by") end)
  P("pcre lookaround", function() return mtev.pcre("(?<=\\$)\\d+(?= USD)")("pay $12 USD") end)
  P("pcre back reference", function() return mtev.pcre("(\\w)\\1")("hello") end)
  P("pcre dollar newline", function() return mtev.pcre("b$")("ab\n") end)
  P("pcre no match", function() return mtev.pcre("z")("abc") end)
  P("pcre alternation order", function() return mtev.pcre("a|ab")("ab") end)
  P("pcre reset nil", function() local m = mtev.pcre("\\d") local a = select(2, m("1 2")) local r = pack(m(nil)) return a, r.n, r[1], select(2, m("1 2")) end)
  P("pcre number subject", function() return mtev.pcre("\\d+")(1234) end)
  P("pcre bad patterns", function() local o = {} for _, p in ipairs{"a)", "[a", "*a", "(?<n", "a{2,1}", "\\", "(?z)"} do local m, e, at = mtev.pcre(p) o[#o+1] = tostring(m) .. " " .. tostring(at) end return o end)
  P("pcre long subject", function() local ok, s = mtev.pcre("b+")(("a"):rep(100000) .. "bbb") return ok, s end)
  P("pcre many groups", function() return select("#", mtev.pcre(("(.)"):rep(20))("abcdefghijklmnopqrstuvwxyz")) end)
end

function xml()
  local function names(it) local o = {} for n in it do o[#o+1] = n:name() .. "=" .. tostring(n:contents()) end return o end
  local function D(s) return mtev.parsexml(s) end
  P("xml namespace name", function() local d = D("<p:a xmlns:p='urn:x'><p:b q='1' p:r='2'/></p:a>") local r = d:root() local b for n in r:children() do b = n end return r:name(), b:name(), b:attr("q"), b:attr("r"), b:attr("p:r") end)
  P("xml namespace xpath", function() local d = D("<p:a xmlns:p='urn:x'><p:b/></p:a>") local o = {} for n in d:xpath("//p:b") do o[#o+1] = n:name() end return o end)
  P("xml default namespace", function() local d = D("<a xmlns='urn:x'><b>t</b></a>") return names(d:xpath("//b")), names(d:xpath("//*[local-name()='b']")) end)
  P("xml namespace unknown prefix", function() local d = D("<a/>") local ok, r = pcall(function() return names(d:xpath("//zz:b")) end) return ok and r or "error" end)
  P("xml xpath attributes", function() return names(D("<a x='1' y='2'><b x='3'/></a>"):xpath("//@x")) end)
  P("xml xpath text", function() return names(D("<a>one<b>two</b>three</a>"):xpath("//text()")) end)
  P("xml xpath bad", function() local d = D("<a/>") local ok, r = pcall(function() return names(d:xpath("//[")) end) return ok and r or "error" end)
  P("xml xpath relative", function() local d = D("<r><a><c>1</c></a><b><c>2</c></b></r>") local b for n in d:xpath("/r/b") do b = n end return names(d:xpath("c", b)), names(d:xpath("//c", b)), names(d:xpath("../a/c", b)) end)
  P("xml xpath union order", function() return names(D("<r><a>1</a><b>2</b><a>3</a></r>"):xpath("//b|//a")) end)
  P("xml cdata", function() local d = D("<a><![CDATA[<x>&y]]>z</a>") return d:root():contents(), names(d:root():children()) end)
  P("xml attr set", function() local d = D("<a x='1'/>") local r = d:root() local n = pack(r:attr("y", "a&b\"<")) r:attr("x", nil) return n.n, n[1], (d:tostring():gsub("\n", "")) end)
  P("xml attr number", function() local d = D("<a/>") d:root():attr("n", 5) return d:root():attr("n") end)
  P("xml next", function() local d = D("<r><a/>t<b/></r>") local a for n in d:root():children() do a = n break end local o, n = {}, a for i = 1, 5 do n = n:next() if not n then break end o[#o+1] = n:name() end return o end)
  P("xml contents set", function() local d = D("<a><b/>x</a>") d:root():contents("new") return (d:tostring():gsub("\n", "")) end)
  P("xml contents set escaped", function() local d = D("<a/>") d:root():contents("&amp;&#65;") return d:root():contents() end)
  P("xml addchild nested", function() local d = D("<r><x/></r>") local c = d:root():addchild("c") local e = c:addchild("e") e:contents("é") return (d:tostring():gsub("\n", "")) end)
  P("xml tostring text only", function() return (D("<a>x<b/>y</a>"):tostring():gsub("\n", "|")) end)
  P("xml tostring nested", function() return (D("<a><b><c/></b><d>t</d></a>"):tostring():gsub("\n", "|")) end)
  P("xml tostring utf", function() return (D("<a>é€</a>"):tostring():gsub("\n", "|")) end)
  P("xml bad inputs", function() local o = {} for _, s in ipairs{"", "x", "<a>", "<a></b>", "<a/><b/>", "<a x=1/>", "<a>&nope;</a>", "<a>\1</a>", " <a/>", "<a/> trailing"} do o[#o+1] = tostring(D(s) ~= nil) end return o end)
  P("xml bad args", function() return Q(mtev.parsexml), Q(mtev.parsexml, nil), Q(mtev.parsexml, {}) end)
  P("xml children of text", function() local d = D("<a>t</a>") local t for n in d:root():children() do t = n end return t:name(), t:contents(), #names(t:children()) end)
  P("xml node outlives", function() local n = D("<a><b>kept</b></a>"):root() collectgarbage() collectgarbage() local r for c in n:children() do r = c:contents() end return r end)
  P("xml doctype out", function() return (D("<!DOCTYPE a><a/>"):tostring():gsub("\n", "|")) end)
end

function json()
  local function J(v, ...) return mtev.tojson(v, ...):tostring() end
  local function R(s) local j, e, at = mtev.parsejson(s) if not j then return "nil " .. tostring(e) .. " @" .. tostring(at) end return j:tostring() end
  local function V(s) return mtev.parsejson(s):document() end
  P("json ints", function() return J{0, -1, 2147483648, 4294967296, 1e15, 2^53 + 2, -2^53, 2^63} end)
  P("json floats", function() return J{0.1, 1e-7, 123456.789, -1.5, 1e21 + 0.5, 3.0000001} end)
  P("json number text", function() return R("[1.0, 1e3, 0.10, 1E-2, 123456789012345678901234567890, 1.50]") end)
  P("json null array", function() local d = V("[null,2,null]") return #d, d[1], d[2], d[3], R("[null,2,null]") end)
  P("json all null", function() return V("[null,null]")[1], R('{"a":null}') end)
  P("json null round trip", function() return J(V("[1,null,3]")) end)
  P("json surrogates", function() return V('["\\ud83d\\ude00"]')[1], #V('["\\u20ac"]')[1] end)
  P("json nul escape", function() local d = mtev.parsejson('["a\\u0000b"]') local s = d and d:document()[1] return s and #s end)
  P("json utf out", function() return J{"€😀"}, R('["€\\u20ac"]') end)
  P("json control out", function() return J{"\0\1\8\12\31\127"} end)
  P("json slash", function() return J{"</script>"}, R('["a/b"]') end)
  P("json false and nil", function() return J{false, true}, J{a = false} end)
  P("json scalars", function() return J("s"), J(5), J(1.25), J(true), J(false) end)
  P("json functions", function() return J{f = print}, J{print}, J{newproxy and newproxy() or 1} end)
  P("json bom", function() return R("\239\187\191[1]") end)
  P("json depth", function() local s = ("["):rep(100) .. ("]"):rep(100) local d = mtev.parsejson(s) return d ~= nil end)
  P("json depth argument", function() return J({a = {b = {c = {}}}}, 1), J({{{1}}}, 3), J({{1}}, 0) end)
  P("json self reference", function() local t = {} t.t = t return J(t, 3) end)
  P("json document twice", function() local j = mtev.parsejson("[1]") local a, b = j:document(), j:document() return a == b, a[1] == b[1] end)
  P("json member", function() local j = mtev.parsejson("[1]") return E(function() return j.nope end), ty(j) end)
  P("json long string", function() local s = ("x"):rep(70000) return #V('["' .. s .. '"]')[1], #J{s} end)
  P("json large array", function() local t = {} for i = 1, 5000 do t[i] = i end return #V(J(t)) end)
  P("json deep values", function() return V('{"a":[{"b":[[1],[2,[3]]]}]}').a[1].b[2][2][1] end)
  P("json metatable", function() return J(setmetatable({1}, {__index = {2, 3}})) end)
end

function zones()
  local Z = mtev.timezone
  P("tz fields", function() return Z("Europe/Berlin"):extract(1719835200, "year", "month", "monthday", "hour", "minute", "second", "weekday", "yearday", "dst", "offset", "zonename") end)
  P("tz autumn", function() local z = Z("America/New_York") return {z:extract(1730613599, "hour", "offset", "zonename")}, {z:extract(1730613600, "hour", "offset", "zonename")} end)
  P("tz half hour", function() return Z("Asia/Kolkata"):extract(0, "hour", "minute", "offset", "zonename") end)
  P("tz negative", function() return Z("UTC"):extract(-1, "year", "month", "monthday", "hour", "second") end)
  P("tz far", function() return Z("Europe/Berlin"):extract(4087368000, "year", "hour", "offset", "dst") end)
  P("tz fraction", function() return Z("UTC"):extract(1.9, "second") end)
  P("tz unknown", function() return Q(Z, "No/Where"), Q(Z), Q(Z, "../passwd") end)
  P("tz unknown field", function() return Q(function() return Z("UTC"):extract(0, "era") end) end)
  P("tz member", function() return E(function() return Z("UTC").nope end), ty(Z("UTC")) end)
  P("timeval text", function() local T = mtev.timeval return tostring(T.new(1)), tostring(T.new(1.25)), tostring(T.new(1, 5)), tostring(T.new(0, 1500000)) end)
  P("timeval fields", function() local t = mtev.timeval.new(3, 250000) return tonumber(t.sec), tonumber(t.usec), t:seconds(), mtev.timeval.seconds(t) end)
  P("timeval compare", function() local T = mtev.timeval return T.new(1) <= T.new(1), T.new(1) > T.new(2), T.new(1, 1) == T.new(1, 2), T.new(2) >= T.new(1, 999999) end)
  P("timeval now", function() local a = mtev.timeval.now() local s = mtev.gettimeofday() return math.abs(a:seconds() - s) < 2, type(mtev.time()) end)
  P("timeval sleep type", function() local t = mtev.sleep(0.01) return type(t.sec) ~= "nil", t:seconds() < 1 end)
end

function texts()
  P("html quotes", function() return mtev.utf8tohtml("\"'&<>"), mtev.utf8tohtml("\"'&<>", true) end)
  P("html invalid", function() return mtev.utf8tohtml("a\255b") end)
  P("html false flag", function() return mtev.utf8tohtml("<", false) end)
  P("b64 padding", function() return mtev.base64_encode(""), mtev.base64_encode("a"), mtev.base64_encode("ab"), mtev.base64_encode("abc") end)
  P("b64 decode forms", function() local d = mtev.base64_decode return d("YQ=="), d("YQ"), d("YWI="), d("YW Jj"), d("YWJj\n"), d("YWJjZ") end)
  P("b64 url", function() return mtev.base64_decode("Pz8_Pj4-"), mtev.base64_encode("\251\255\191") end)
  P("b64 long", function() return #mtev.base64_encode(("x"):rep(1000)), mtev.base64_encode(("x"):rep(100)):find("\n") end)
  P("b64 bytes", function() local s = {} for i = 0, 255 do s[#s+1] = string.char(i) end s = table.concat(s) return mtev.base64_decode(mtev.base64_encode(s)) == s end)
  P("b32 bytes", function() local s = "\0\255\128abc" return mtev.base32_decode(mtev.base32_encode(s)) == s end)
  P("crc forms", function() return mtev.crc32(""), mtev.crc32("a", "b"), mtev.crc32("ab"), mtev.crc32(0, "ab") end)
  P("digests number", function() return mtev.md5_hex(12) end)
  P("hmac empty key", function() return mtev.hmac_sha1_encode("m", ""), mtev.hmac_sha256_encode("", "k") end)
  P("hmac nul", function() return mtev.hmac_sha1_encode("a\0b", "k\0y") end)
  local gz = mtev.base64_decode("H4sIAAAAAAAAA8tIzcnJVyjPL8pJAQCFEUoNCwAAAA==")
  P("gunzip whole", function() return mtev.gunzip()(gz) end)
  P("gunzip zlib", function() return mtev.gunzip()(mtev.base64_decode("eJzLSM3JyQcABiwCFQ==")) end)
  P("gunzip bad args", function() return Q(function() return mtev.gunzip()() end), Q(function() return mtev.gunzip()(nil) end) end)
  local X = mtev.extras
  P("split edges", function() return X.split("", ","), X.split(",", ","), X.split("a,", ","), X.split(",a", ","), X.split("a,b,c,d", ",", 2) end)
  P("split pattern", function() return X.split("a1b22c", "%d+"), X.split("a.b", "%.") end)
  P("url encode", function() return X.url_encode("a-_.~/?&=+ %"), X.url_encode("\0\255") end)
  P("url decode", function() return X.url_decode("a+b%20c%zz%4"), X.url_decode("%e2%82%AC") end)
  P("ip to number", function() return X.iptonumber("1.2.3.4"), X.iptonumber("255.255.255.255"), X.iptonumber("x") end)
  P("check host", function() local c = X.check_host_header_against_certificate return c("a.example.com", "/CN=a.example.com", nil), c("b.example.com", "/CN=*.example.com", nil), c("a.b.example.com", "/CN=*.example.com", nil), c("x.org", "/CN=a", "DNS:x.org"), c("x.org", "/CN=a", "x.org, y.org") end)
  P("check host wrong", function() return X.check_host_header_against_certificate("evil.com", "/C=US/CN=good.com", "good.com") end)
  P("inet pton", function() local a, b = mtev.inet_pton("1.2.3.4") local c, d = mtev.inet_pton("fe80::1") return a, b, c, d, mtev.inet_pton("1.2.3"), mtev.inet_pton("") end)
  P("pack forms", function() return (string.pack(">I", 1)):byte(1, -1) end)
  P("pack prefixed", function() return string.pack(">P", "ab"), string.pack("p", "ab") end)
  P("unpack short", function() return string.unpack("\1", ">I") end)
end

function coroutines()
  P("spawn returns", function() return select("#", spawn(function() return 1, 2 end)) end)
  P("spawn args", function() local r spawn(function(...) r = {n = select("#", ...), ...} end, 1, nil, "x") return r.n, r[1], r[2], r[3] end)
  P("sleep order", function() local t = {} for i, d in ipairs{0.06, 0.02, 0.04} do spawn(function() mtev.sleep(d) t[#t+1] = i end) end mtev.sleep(0.12) return table.concat(t, ",") end)
  P("waitfor numbers as keys", function() mtev.notify(77, "n") return mtev.waitfor("77", 0.1) end)
  P("waitfor returns key", function() mtev.notify("kk", 1) local k, v = mtev.waitfor("kk", 1) return k, v end)
  P("waitfor timeout count", function() return select("#", mtev.waitfor("none such", 0.02)) end)
  P("waitfor reference", function() local t = {} mtev.notify("kt", t) local _, v = mtev.waitfor("kt", 1) return v == t end)
  P("notify runs waiter", function() local t = {} spawn(function() mtev.waitfor("kr") t[#t+1] = "woke" end) mtev.notify("kr") t[#t+1] = "after" return table.concat(t, ",") end)
  P("notify from waiter", function() local t = {} spawn(function() local _, v = mtev.waitfor("p1") t[#t+1] = v mtev.notify("p2", v + 1) end) mtev.notify("p1", 1) local _, w = mtev.waitfor("p2", 1) return t, w end)
  P("notify twice one waiter", function() local t = {} spawn(function() for i = 1, 2 do local _, v = mtev.waitfor("tw", 1) t[#t+1] = v end end) mtev.notify("tw", "a") mtev.notify("tw", "b") mtev.sleep(0.02) return t end)
  P("waitfor bad timeout", function() mtev.notify("bt", 1) return Q(mtev.waitfor, "bt", "x") end)
  P("wake order", function() local t = {} spawn(function() mtev.waitfor("w1", 1) t[#t+1] = 1 end) spawn(function() mtev.waitfor("w2", 1) t[#t+1] = 2 end) mtev.notify("w2") mtev.notify("w1") return t end)
  P("cancel reading", function() local seen local port = serve(function(c) local d = c:read("\n") seen = d == nil and "eof" or d end) local co spawn(function() co = coroutine.running() local e = dial(port) e:read("\n") end) mtev.sleep(0.05) mtev.cancel_coro(co) collectgarbage() collectgarbage() mtev.sleep(0.1) return seen end)
  P("cancel finished", function() local co spawn(function() co = coroutine.running() end) return (pcall(mtev.cancel_coro, co)) end)
  P("shared copies", function() local t = {a = {1, 2}, [3] = "x", b = true} mtev.shared_set("b2a", t) local u = mtev.shared_get("b2a") u.a[1] = 9 return mtev.shared_get("b2a").a[1], u[3], u.b end)
  P("shared function", function() mtev.shared_set("b2d", print) return mtev.shared_get("b2d") end)
  P("shared returns", function() return select("#", mtev.shared_set("b2f", 1)), Q(mtev.shared_set), Q(mtev.shared_get) end)
  P("shared queue nil", function() mtev.shared_notify("sn", nil) local r = pack(mtev.shared_waitfor("sn", 0.2)) return r[1] end)
  P("shared queue later", function() spawn(function() mtev.sleep(0.03) mtev.shared_notify("sl", "late") end) return mtev.shared_waitfor("sl", 1) end)
  P("shared queue values", function() mtev.shared_notify("sv", {a = {1, "x"}}) local v = mtev.shared_waitfor("sv", 1) return v.a[1], v.a[2] end)
  P("shared queue timeout", function() local r = pack(mtev.shared_waitfor("st", 0.02)) return r[1] end)
  P("shared queue kept", function() mtev.shared_notify("sk", "kept") mtev.sleep(0.02) return (mtev.shared_waitfor("sk", 0.2)) end)
  P("semaphore release", function() local s = mtev.semaphore("s2", 0) local a = s:try_acquire() local n = select("#", s:release()) return a, n, s:try_acquire(), s:try_acquire() end)
  P("semaphore wakes", function() local s = mtev.semaphore("s5", 0) spawn(function() mtev.sleep(0.03) s:release() end) return s:acquire(1) end)
  P("semaphore bad", function() return Q(mtev.semaphore), (Q(function() return mtev.semaphore("s7", 1).nope end)) end)
  P("watchdog", function() return type(mtev.watchdog_timeout()), select("#", mtev.watchdog_child_heartbeat()) end)
  P("generator", function() local g = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return g(), g(), g() end)
  P("coroutine status", function() local co = coroutine.create(function() coroutine.yield() error("x", 0) end) coroutine.resume(co) local a = coroutine.status(co) local ok, e = coroutine.resume(co) return a, ok, e, coroutine.status(co) end)
  P("pcall over sleep", function() return pcall(function() mtev.sleep(0.01) error({code = 7}) end) end)
  P("pcall nested", function() return pcall(pcall, function() mtev.sleep(0.01) error("deep", 0) end) end)
end

function config()
  local C = mtev
  P("conf integer forms", function() local o = {} for _, v in ipairs{"12", " 7 ", "0x10", "-3", "4.9", "abc", "12abc", ""} do C.conf_get_string("/cli/eventer/config/b2i", v) o[#o+1] = tostring(C.conf_get_integer("/cli/eventer/config/b2i")) end return o end)
  P("conf number forms", function() local o = {} for _, v in ipairs{"1.5", "1e3", "-0.25", "abc", "7"} do C.conf_get_string("/cli/eventer/config/b2n", v) o[#o+1] = tostring(C.conf_get_number("/cli/eventer/config/b2n")) end return o end)
  P("conf attribute", function() return C.conf_get_string("/cli/modules/generic/@name"), C.conf_get_string("//generic[@image='lua_mtev']/@image") end)
  P("conf text trimmed", function() return "[" .. tostring(C.conf_get_string("/cli/modules/generic/config/lua_function")) .. "]" end)
  P("conf element with children", function() local r = C.conf_get_string("/cli/eventer") return type(r) end)
  P("conf set integer", function() return C.conf_get_integer("/cli/eventer/config/b2si", 42), C.conf_get_string("/cli/eventer/config/b2si") end)
  P("conf set number", function() return C.conf_get_number("/cli/eventer/config/b2sn", 1.5), C.conf_get_string("/cli/eventer/config/b2sn") end)
  P("conf set over", function() C.conf_get_string("/cli/eventer/config/b2o", "one") C.conf_get_string("/cli/eventer/config/b2o", "two") return C.conf_get_string("/cli/eventer/config/b2o"), #C.conf_get_string_list("/cli/eventer/config/b2o", "self::node()") end)
  P("conf replace nowhere", function() return C.conf_replace_string("/cli/nope/x", "v") end)
  P("conf bad args", function() return Q(C.conf_get_string), Q(C.conf_get_integer) end)
  P("conf concurrency", function() return C.conf_integer("//eventer/config/concurrency"), C.conf_number("//eventer/config/concurrency"), C.conf_boolean("//eventer/config/concurrency") end)
end

function logs()
  local L = function(...) return select("#", mtev.log("stdout", ...)) end
  P("log nil and objects", function() L("%s %s %s\n", nil, true, 1.5) end)
  P("log percent alone", function() L("100%%\n") return E(mtev.log, "stdout", "100%\n") end)
  P("log missing arg", function() return Q(mtev.log, "stdout", "%s %s\n", 1) end)
  P("log extra args", function() L("one %s\n", 1, 2, 3) end)
  P("log bad number", function() return Q(mtev.log, "stdout", "%d\n", "x") end)
  P("log numeric string", function() L("%d\n", "12") end)
  P("log no format", function() return Q(mtev.log, "stdout") end)
  P("log new stream", function() return select("#", mtev.log("b2/unknown", "x\n")), mtev.log_enabled("b2/unknown") end)
  P("log enable", function() local a = mtev.log_enabled("debug/b2x") mtev.enable_log("debug/b2x") local b = mtev.log_enabled("debug/b2x") mtev.enable_log("debug/b2x", false) return a, b, mtev.log_enabled("debug/b2x") end)
  P("log enable returns", function() return select("#", mtev.enable_log("debug/b2y", false)), Q(mtev.enable_log), Q(mtev.log_enabled) end)
  P("print values", function() print("a", 1, nil, true, 1.5) end)
  P("errorf", function() return E(errorf, "bad %s %d", "x", 3) end)
  P("log tostring", function() L("%s\n", setmetatable({}, {__tostring = function() return "mine" end})) end)
  P("printto", function() return select("#", mtev.printto("stdout")) end)
end

function files()
  local d = "/tmp/b2-files-" .. mtev.getpid()
  mtev.mkdir(d, 493)
  local W = bit.bor(O_CREAT, O_WRONLY, O_TRUNC)
  P("open exclusive", function() local f = d .. "/x" local a = mtev.open(f, bit.bor(O_CREAT, O_EXCL, O_WRONLY), 420) mtev.close(a) local b, c, e = mtev.open(f, bit.bor(O_CREAT, O_EXCL, O_WRONLY), 420) return a > 0, b, c, e end)
  P("open directory", function() return mtev.open(d, O_WRONLY) end)
  P("write bad", function() return mtev.write(9999, "x") end)
  P("write nul bytes", function() local f = d .. "/n" local h = mtev.open(f, W, 420) local n = mtev.write(h, "a\0b") mtev.close(h) return n, mtev.stat(f).size end)
  P("close", function() local h = mtev.open(d .. "/c", W, 420) return select("#", mtev.close(h)), E(mtev.close, 9999) end)
  P("stat fields", function() local s = mtev.stat(d .. "/x") return bit.band(s.mode, 511), bit.band(s.mode, S_IFREG) ~= 0, s.nlink, s.uid == mtev.getuid(), s.size end)
  P("stat keys", function() local k = {} for n in pairs(mtev.stat(d)) do k[#k+1] = n end table.sort(k) return k end)
  P("chmod", function() local r = pack(mtev.chmod(d .. "/x", 384)) local b = pack(mtev.chmod(d .. "/none", 384)) return r[1], r[2], bit.band(mtev.stat(d .. "/x").mode, 511), b[1], b[2] end)
  P("readdir", function() local t = mtev.readdir(d) table.sort(t) return t end)
  P("readdir missing", function() return mtev.readdir("/no/such/dir") end)
  P("realpath", function() return mtev.realpath("/usr/../tmp/."), mtev.realpath("/no/such") end)
  P("mkdir for file", function() local r = pack(mtev.mkdir_for_file(d .. "/p/q/r/file", 493)) return r[1], mtev.stat(d .. "/p/q/r") ~= nil, mtev.stat(d .. "/p/q/r/file") end)
  P("unlink dir", function() local a, b = mtev.unlink(d .. "/p") return a, b end)
  P("unlink missing", function() return mtev.unlink(d .. "/none") end)
  P("lockfile twice", function() local a = mtev.lockfile_acquire(d .. "/lock2") local b = mtev.lockfile_acquire(d .. "/lock2") mtev.lockfile_release(a) return a >= 0, b >= 0 end)
  P("getcwd", function() return mtev.getcwd() == mtev.realpath(".") end)
  P("ids", function() return mtev.getuid() == mtev.geteuid(), mtev.getgid() == mtev.getegid(), mtev.getpid() ~= mtev.getppid() end)
  P("constants", function() return O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, S_IFREG, S_IFDIR, S_IFLNK end)
  mtev.sh("rm -r " .. d)
end

function crypto()
  P("bignum text", function() local a = mtev.bignum_hex2bn("ff") return a:todec(), a:tohex(), a:num_bits(), a:num_bytes(), tostring(a:is_negative()) end)
  P("bignum divide by zero", function() local a, z = mtev.bignum_dec2bn("5"), mtev.bignum_dec2bn("0") return (a:div_word(0)) end)
  P("bignum compare", function() local a, b = mtev.bignum_dec2bn("5"), mtev.bignum_dec2bn("7") return a:cmp(b), b:cmp(a), a:cmp(a) end)
end

function main()
  for _, f in ipairs{"processes", "proc", "sockets", "tls", "http", "api", "regex", "xml", "json", "zones", "texts", "coroutines", "config", "logs", "files", "crypto"} do
    if not arg[3] or arg[3] == f then _M[f]() end
  end
  mtev.sleep(0.05)
  os.exit(0)
end
