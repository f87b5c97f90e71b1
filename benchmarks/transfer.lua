-- Both ends in one state: a gigabyte over TCP and over TLS, and TLS round trips of 64-byte lines.  Needs the openssl program.
module(..., package.seeall)

local GIGABYTE, PIECE, ROUNDS = 1000000000, string.rep("x", 1000000), 20000

local function now()
  local s, u = mtev.gettimeofday()
  return s + u / 1e6
end

local function pair(files)
  local listener = mtev.socket("inet")
  listener:bind("127.0.0.1", 0)
  listener:listen(1)
  local address, port = listener:sock_name()
  local client, peer = mtev.socket("inet"), nil
  mtev.coroutine_spawn(function()
    local mine = listener:own()
    peer = mine:accept()
    if files then assert(peer:ssl_upgrade_socket(files) == 0) end
    mtev.notify("accepted")
  end)
  assert(client:connect(address, port) == 0)
  if files then assert(client:ssl_upgrade_socket({ ca_file = files.certificate_file }, "localhost") == 0) end
  mtev.waitfor("accepted")
  return client, peer
end

local function transfer(client, peer)
  mtev.coroutine_spawn(function()
    local mine = client:own()
    for _ = 1, GIGABYTE / #PIECE do mine:write(PIECE) end
    mine:close()
  end)
  peer = peer:own()
  local start, total = now(), 0
  while true do
    local n = peer:recv(1000000)
    if n < 1 then break end
    total = total + n
  end
  assert(total == GIGABYTE)
  return GIGABYTE / 1e6 / (now() - start)
end

local function round_trips(client, peer)
  mtev.coroutine_spawn(function()
    local mine = peer:own()
    while true do
      local line = mine:read("\n")
      if not line then return mine:close() end
      mine:write(line)
    end
  end)
  local line, start = string.rep("x", 63) .. "\n", now()
  for _ = 1, ROUNDS do
    client:write(line)
    assert(client:read("\n") == line)
  end
  return ROUNDS / (now() - start)
end

function main()
  local directory = os.tmpname()
  os.remove(directory)
  local files = { certificate_file = directory .. ".crt", key_file = directory .. ".key" }
  assert(os.execute("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    .. " -addext subjectAltName=DNS:localhost -keyout " .. files.key_file .. " -out " .. files.certificate_file
    .. " 2>/dev/null") == 0)
  print(string.format("tcp_mb_per_s %.0f", transfer(pair())))
  print(string.format("tls_mb_per_s %.0f", transfer(pair(files))))
  print(string.format("tls_rtt_per_s %.0f", round_trips(pair(files))))
  local start = now()
  for _ = 1, 200 do
    local client, peer = pair(files)
    client:close()
    peer:own():close()
  end
  print(string.format("tls_handshakes_per_s %.0f", 200 / (now() - start)))
  os.remove(files.certificate_file)
  os.remove(files.key_file)
  os.exit(0)
end
