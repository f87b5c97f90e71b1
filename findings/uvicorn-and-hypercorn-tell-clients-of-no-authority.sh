#!/bin/sh
# uvicorn 0.35 and hypercorn 0.17 with a CA file and client certificates required: the handshake's CertificateRequest names no
# authority, so a client with several certificates (a browser, Java, a smart card) cannot know which to show, and shows the
# wrong one, or asks its user about all of them.  nginx (ssl_client_certificate), Apache (SSLCACertificateFile) and Node (ca)
# send the names of the same file.  Both leave it to Python's ssl, whose load_verify_locations() trusts the file and tells
# nobody of it; there is no other call (OpenSSL's is SSL_CTX_set_client_CA_list).
set -e
folder=$(mktemp -d)
trap 'kill $server 2> /dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'uvicorn==0.35.0' 'hypercorn==0.17.3'
cd "$folder"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout key -out cert 2> /dev/null
cat > app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
PYTHON
"$folder/venv/bin/python" -c 'import uvicorn, importlib.metadata as m; print("uvicorn", uvicorn.__version__, "hypercorn", m.version("hypercorn"))'
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

ask() { # until it listens
  for _ in $(seq 100); do
    if openssl s_client -connect "127.0.0.1:$port" -cert cert -key key < /dev/null > said 2> /dev/null; then break; fi
    sleep 0.2
  done
  grep -iE "CA names" said | sed "s/^/$1: /"
  if curl -sk "https://127.0.0.1:$port/"; then echo "$1 asks for no certificate"; exit 1; fi
  echo "$1: without a certificate refused, with it $(curl -sk --cert cert --key key -w '%{http_code}' "https://127.0.0.1:$port/")"
  grep -q "No client certificate CA names sent" said || { echo "$1 names authorities now"; exit 1; }
}

"$folder/venv/bin/uvicorn" app:app --port "$port" --log-level critical \
  --ssl-keyfile key --ssl-certfile cert --ssl-ca-certs cert --ssl-cert-reqs 2 &
server=$!
ask uvicorn
kill $server
wait $server || true
"$folder/venv/bin/hypercorn" app:app --bind "127.0.0.1:$port" --log-level CRITICAL \
  --keyfile key --certfile cert --ca-certs cert --verify-mode CERT_REQUIRED &
server=$!
ask hypercorn
kill $server
wait $server || true
openssl s_server -accept "127.0.0.1:$port" -cert cert -key key -CAfile cert -Verify 1 -quiet > /dev/null 2>&1 &
server=$!
for _ in $(seq 100); do
  if openssl s_client -connect "127.0.0.1:$port" -cert cert -key key < /dev/null > said 2> /dev/null; then break; fi
  sleep 0.2
done
grep -A1 "Acceptable client certificate CA names" said | sed 's/^/openssl s_server with the same file: /'
