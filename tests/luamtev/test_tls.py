"""TLS on sockets of Lua, against openssl's own client and server."""

import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Issued
from launching import free_port

from runtime import eventer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "Stranger")


@pytest.fixture(scope="module")
def server_files(authority: Authority) -> Issued:
    return authority.issue("www.example.com", "www.example.com", "127.0.0.1")


@contextmanager
def s_server(files: Issued, *options: str) -> Iterator[int]:
    """A server of openssl's that sends back each line reversed; gives its port."""
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert", str(files.certificate)]
    with subprocess.Popen(
        [*command, "-key", str(files.key), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = re.match(r"ACCEPT \S+:(\d+)", line)
                if found:
                    threading.Thread(target=process.stdout.read, daemon=True).start()
                    yield int(found[1])
                    break
            else:
                pytest.fail("openssl s_server did not start")
        finally:
            process.kill()


CONNECT = """
local socket = mtev.socket("inet")
assert(socket:connect("127.0.0.1", PORT) == 0)
"""


@pytest.fixture
def client(lua: Any) -> Callable[..., str]:
    """Runs Lua that has `socket`, connected to a port."""

    def run(port: int, body: str, **values: Any) -> str:
        body = (CONNECT + body).replace("PORT", str(port))
        for name, value in values.items():
            body = body.replace(name, f'"{value}"')
        text: str = lua(f"function main() {body} os.exit(0) end")
        return text

    return run


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_speaks_tls_and_verifies_chain_and_name(
    client: Any, authority: Authority, server_files: Issued, version: str
) -> None:
    with s_server(server_files, f"-tls{version.replace('.', '_')}") as port:
        text = client(
            port,
            """
            print(socket:ssl_upgrade_socket({ ca_file = CA }, "www.example.com"))
            print(socket:write("hello\\n"), socket:read("\\n"))
            local ctx = socket:ssl_ctx()
            print(ctx.error, ctx.method, ctx.sni_name, ctx.san_list)
            print(ctx.issuer, ctx.subject, ctx.current_cipher == ctx.ssl_session.cipher, #ctx.ciphers > 3)
            local peer = ctx.peer_certificate
            print(peer.signature_algorithm, peer.serial, peer.bits, peer.type, peer.ocsp)
            print(peer.purpose["SSL server"], peer.purpose["SSL server C" .. "A"], peer.purpose["S/MIME signing"])
            print(ctx.start_time < os.time(), ctx.end_time > os.time(), ctx.ssl_session.ssl_version, tostring(ctx))
            print((select(2, pcall(function() return ctx.nonsense end)):gsub(".*: ", "")))
            """,
            CA=authority.issued.certificate,
        )
    assert text.splitlines() == [
        "0",
        "6\tolleh",
        "",
        "nil\t771\tnil\twww.example.com",
        "/C=US/O=Test/CN=Test Authority\t/C=US/O=Test/CN=www.example.com\ttrue\ttrue",
        "ecdsa-with-SHA256\t4660\t256\tec\tnil",
        "1\t0\t0",
        f"true\ttrue\tTLSv{version}\tmtev.eventer.ssl_ctx",
        "nonsense",
    ]


def test_without_an_authority_nothing_is_verified_and_there_is_no_error(
    client: Any, authority: Authority, server_files: Issued
) -> None:
    upgrade = "print(socket:ssl_upgrade_socket(), socket:ssl_ctx().error)"
    with s_server(server_files) as port:
        assert client(port, upgrade) == "0\tnil\n"
    with s_server(authority.issued) as port:
        assert client(port, upgrade).endswith("0\tnil\n")


def test_a_wrong_name_fails(client: Any, authority: Authority, server_files: Issued) -> None:
    with s_server(server_files) as port:
        text = client(
            port,
            'print(socket:ssl_upgrade_socket(nil, nil, CA, nil, "other.example.com")) print(socket:ssl_ctx().error)',
            CA=authority.issued.certificate,
        )
    reason = "certificate verify failed: Hostname mismatch, certificate is not valid for 'other.example.com'"
    assert text == f"-1\t{reason}\n{reason}\n"


@pytest.mark.parametrize("name", ["www.example.com.", "WWW.example.com", "www.example.com.:443"])
def test_a_full_name_is_the_same_name(client: Any, authority: Authority, server_files: Issued, name: str) -> None:
    with s_server(server_files) as port:
        upgrade = f'print(socket:ssl_upgrade_socket(nil, nil, CA, nil, "{name}"))'
        assert client(port, upgrade, CA=authority.issued.certificate) == "0\n"


def test_a_name_is_not_looked_at_unless_it_is_given(client: Any, authority: Authority, server_files: Issued) -> None:
    with s_server(server_files) as port:
        text = client(port, "print(socket:ssl_upgrade_socket({ ca_chain = CA }))", CA=authority.issued.certificate)
    assert text == "0\n"


def test_an_expired_certificate_fails(client: Any, authority: Authority) -> None:
    with s_server(authority.issue("old.example.com", "old.example.com", days=-1)) as port:
        text = client(port, "print(socket:ssl_upgrade_socket({ ca_file = CA }))", CA=authority.issued.certificate)
    assert text == "-1\tcertificate verify failed: certificate has expired\n"


def test_an_unknown_authority_fails(client: Any, stranger: Authority, server_files: Issued) -> None:
    with s_server(server_files) as port:
        text = client(port, "print(socket:ssl_upgrade_socket({ ca_file = CA }))", CA=stranger.issued.certificate)
    assert text == "-1\tcertificate verify failed: unable to get local issuer certificate\n"


def test_a_client_shows_its_certificate_where_one_is_required(
    client: Any, authority: Authority, server_files: Issued
) -> None:
    mine = authority.issue("client")
    ca = authority.issued.certificate
    talk = 'print(socket:write("abc\\n"), (socket:read("\\n"))) socket:close()'
    with s_server(server_files, "-Verify", "1", "-verify_return_error", "-CAfile", str(ca), "-tls1_2") as port:
        body = f"print(socket:ssl_upgrade_socket(CERT, KEY)) {talk}"
        assert client(port, body, CERT=mine.certificate, KEY=mine.key) == "0\n4\tcba\n\n"
        text = client(port, "print((socket:ssl_upgrade_socket()))")
        assert text.endswith("-1\n")


def test_ciphers_and_layers_are_obeyed(client: Any, server_files: Issued) -> None:
    with s_server(server_files) as port:
        body = """
        print(socket:ssl_upgrade_socket({ ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }, nil, "tlsv1.2:!tlsv1"))
        print(socket:ssl_ctx().method ~= nil)
        """
        assert client(port, body) == "0\ntrue\n"
    with s_server(server_files, "-tls1_2") as port:
        body = 'local rv, why = socket:ssl_upgrade_socket({}, nil, "tlsv1.3") print(rv, why ~= nil)'
        assert client(port, body).endswith("-1\ttrue\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            '"/nowhere/c.pem", "/nowhere/k.pem"',
            "certificate /nowhere/c.pem, key /nowhere/k.pem: No such file or direct",
        ),
        ('nil, "/nowhere/k.pem"', "key /nowhere/k.pem without a certificate"),
        ('nil, nil, "/nowhere/ca.pem"', "CA /nowhere/ca.pem: No such file or directory"),
        ('nil, nil, nil, "NONSENSE"', "ciphers 'NONSENSE': none of them is known"),
        ('nil, nil, nil, nil, nil, "sslv9"', "layer 'sslv9': expected tlsv1"),
        ('nil, nil, nil, nil, nil, "all:!tlsv9"', "layer 'all:!tlsv9': there is no option '!tlsv9'"),
        ("nil, nil, PLAIN", "CA "),
    ],
)
def test_a_bad_argument_is_named(
    client: Any, server_files: Issued, arguments: str, message: str, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no certificate")
    with s_server(server_files) as port:
        text = client(port, f"print(socket:ssl_upgrade_socket({arguments}))", PLAIN=plain)
    assert text.startswith(f"-1\t{message}")


def test_a_peer_that_speaks_something_else_ends_the_handshake(client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in (b"220 hello\r\n" * 10, b""):
                peer, _ = server.accept()
                with peer:
                    peer.sendall(answer)
                    peer.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        body = "print(socket:ssl_upgrade_socket()) print((socket:write('x')))"
        assert client(port, body) == "-1\twrong version number\n-1\n"
        body = "local rv, why = socket:ssl_upgrade_socket() print(rv, type(why))"
        assert client(port, body).endswith("-1\tstring\n")
        thread.join()


def test_closing_ends_a_handshake_that_waits(lua: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = lua(
            """
            function main()
              local socket = mtev.socket("inet")
              mtev.coroutine_spawn(function()
                socket = socket:own()
                socket:connect("127.0.0.1", PORT)
                print(socket:ssl_upgrade_socket())
                mtev.notify("ended")
              end)
              mtev.sleep(0.02)
              socket:close()
              mtev.waitfor("ended", 10)
              os.exit(0)
            end
            """.replace("PORT", str(server.getsockname()[1]))
        )
    assert text == "-1\tinvalid event\n"


SERVER = """
function main()
  local server = mtev.socket("inet")
  server:bind("127.0.0.1", PORT)
  server:listen(10)
  while true do
    local peer = server:accept()
    local rv, why = peer:ssl_upgrade_socket({ certificate_file = CERT, key_file = KEY, ca_chain = CA })
    if rv == 0 then
      local line = peer:read("\\n")
      local context = peer:ssl_ctx()
      local name = context.sni_name and " to " .. context.sni_name or ""
      peer:write(tostring(context.subject) .. " said " .. tostring(line):gsub("\\n", "") .. name .. "\\n")
    else
      print(why)
    end
    peer:close()
  end
end
"""


@contextmanager
def lua_server(lua: Any, files: Issued, ca: Path | str = "") -> Iterator[int]:
    port = free_port()
    source = SERVER.replace("PORT", str(port))
    for name, value in (("CERT", files.certificate), ("KEY", files.key), ("CA", ca)):
        source = source.replace(name, f'"{value}"')
    lua.start(source, tragedy_terminates=True)
    lua.on_thread(lambda: None)
    yield port


def s_client(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", *options],
        input="hello\n",
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_an_accepted_socket_is_the_servers_side(lua: Any, authority: Authority, server_files: Issued) -> None:
    ca = str(authority.issued.certificate)
    with lua_server(lua, server_files) as port:
        for version in ("-tls1_2", "-tls1_3"):
            done = s_client(port, version, "-CAfile", ca, "-verify_return_error", "-verify_hostname", "www.example.com")
            assert done.stdout == "nil said hello\n", done.stderr


def test_the_server_learns_the_name_it_was_asked_for(lua: Any, server_files: Issued) -> None:
    with lua_server(lua, server_files) as port:
        assert s_client(port, "-servername", "some.example.com").stdout == "nil said hello to some.example.com\n"
        assert s_client(port, "-noservername").stdout == "nil said hello\n"


def test_a_port_behind_a_name_is_no_part_of_it(client: Any, authority: Authority, server_files: Issued) -> None:
    with s_server(server_files) as port:
        for name in ("www.example.com:443", "www.example.com:27002", "www.example.com"):
            upgrade = f'print(socket:ssl_upgrade_socket({{ ca_file = CA }}, "{name}")) socket:close()'
            assert client(port, upgrade, CA=authority.issued.certificate).endswith("0\n")
        text = client(
            port,
            'print(socket:ssl_upgrade_socket(nil, nil, CA, nil, "other.example.com:443"))',
            CA=authority.issued.certificate,
        )
    assert text.splitlines()[-1].startswith("-1\tcertificate verify failed: Hostname mismatch")


@pytest.mark.parametrize(
    ("settings", "authority_is", "wanted"),
    [
        ('ignore_dates = "true"', "known", "0"),
        ("ignore_dates = true", "known", "0"),
        ('ignore_dates = "false"', "known", "-1\tcertificate verify failed: certificate has expired"),
        ('ignore_dates = "true"', "unknown", "-1\tcertificate verify failed: unable to get local issuer certificate"),
        ('optional_no_ca = "true"', "unknown", "0"),
        ('optional_no_ca = "true", snihost = "other.example.com"', "known", "0"),
    ],
)
def test_dates_and_authorities_may_be_of_no_importance(
    client: Any, authority: Authority, stranger: Authority, settings: str, authority_is: str, wanted: str
) -> None:
    trusted = authority if authority_is == "known" else stranger
    with s_server(authority.issue("old.example.com", "old.example.com", days=-1)) as port:
        upgrade = f"print(socket:ssl_upgrade_socket({{ ca_chain = CA, {settings} }})) socket:close()"
        assert client(port, upgrade, CA=trusted.issued.certificate) == wanted + "\n"


def test_pem_may_be_given_as_text(client: Any, authority: Authority, server_files: Issued) -> None:
    mine = authority.issue("client")
    pem = {
        name: file.read_text().replace("\n", "\\n")
        for name, file in (
            ("MINE", mine.certificate),
            ("SECRET", mine.key),
            ("AUTHORITY", authority.issued.certificate),
        )
    }
    options = ("-Verify", "1", "-verify_return_error", "-CAfile", str(authority.issued.certificate))
    config = "{ certificate = MINE, key = SECRET, ca_chain = AUTHORITY }"
    with s_server(server_files, *options) as port:
        text = client(
            port,
            f"""
            print(socket:ssl_upgrade_socket({config}, "www.example.com"))
            print(socket:write("abc\\n"), (socket:read("\\n")))
            """,
            **pem,
        )
        assert text == "0\n4\tcba\n\n"
        text = client(port, 'print(socket:ssl_upgrade_socket({ ca_chain = "no\\ncertificate" }))')
        assert text.splitlines()[-1].startswith("-1\tCA (given as text): ")


def test_a_handshake_has_the_time_it_is_given(client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert client(port, "print(socket:ssl_upgrade_socket({ timeout = 0.05 }))") == "-1\ttimeout\n"
        assert client(port, "print(socket:ssl_upgrade_socket({}, nil, nil, 0.05))").endswith("-1\ttimeout\n")
        upgrade = "print(socket:ssl_upgrade_socket(nil, nil, nil, nil, nil, nil, 0.05))"
        assert client(port, upgrade).endswith("-1\ttimeout\n")


def test_a_protocol_is_agreed_on_and_the_revoked_are_refused(
    client: Any, authority: Authority, server_files: Issued
) -> None:
    revoked = authority.issue("revoked", "www.example.com", serial=77)
    crl = authority.revoke(revoked)
    upgrade = 'print(socket:ssl_upgrade_socket({ ca_chain = CA, crl = LIST, alpn = "x/1,http/1.1" }))'
    with s_server(server_files, "-alpn", "http/1.1") as port:
        assert client(port, upgrade, CA=authority.issued.certificate, LIST=crl) == "0\n"
    with s_server(revoked) as port:
        text = client(port, upgrade, CA=authority.issued.certificate, LIST=crl)
    assert text.splitlines()[-1] == "-1\tcertificate verify failed: certificate revoked"


@pytest.mark.parametrize(
    "extensions",
    [
        [],
        ["keyUsage=digitalSignature,keyEncipherment", "extendedKeyUsage=serverAuth"],
        ["keyUsage=nonRepudiation", "extendedKeyUsage=emailProtection,clientAuth"],
        ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign,cRLSign"],
        ["basicConstraints=CA:FALSE", "keyUsage=keyEncipherment"],
        ["keyUsage=digitalSignature", "extendedKeyUsage=critical,timeStamping"],
        ["extendedKeyUsage=timeStamping,serverAuth"],
    ],
)
def test_purposes_are_those_that_openssl_sees(tmp_path: Path, extensions: list[str]) -> None:
    from cryptography import x509

    from luamtev.api.certificates import purposes

    settings = tmp_path / "openssl.cnf"
    settings.write_text(
        "[req]\ndistinguished_name=dn\n[dn]\n[ext]\nsubjectKeyIdentifier=none\n" + "\n".join(extensions)
    )
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "2"]
    command += ["-config", settings, "-extensions", "ext", "-keyout", "/dev/null", "-out", "c.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-in", "c.pem", "-noout", "-purpose"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    expected = {
        name: int(answer.startswith("Yes"))
        for name, answer in re.findall(r"^(.*) : (Yes|No)", shown, re.MULTILINE)
        if not name.startswith("Code signing")
    }
    assert len(expected) == 18
    assert purposes(x509.load_pem_x509_certificate((tmp_path / "c.pem").read_bytes())) == expected


def test_a_server_with_an_authority_learns_who_the_client_is_and_refuses_others(
    lua: Any, authority: Authority, stranger: Authority, server_files: Issued
) -> None:
    mine, other = authority.issue("a client"), stranger.issue("somebody")
    with lua_server(lua, server_files, authority.issued.certificate) as port:
        known = s_client(port, "-cert", str(mine.certificate), "-key", str(mine.key))
        assert known.stdout == "/C=US/O=Test/CN=a client said hello\n"
        assert s_client(port).stdout == "nil said hello\n"
        unknown = s_client(port, "-cert", str(other.certificate), "-key", str(other.key))
        assert unknown.stdout == ""
    assert lua.printed() == "certificate verify failed: unable to get local issuer certificate\n"


def test_the_accepting_side_needs_a_certificate(lua: Any) -> None:
    text = lua(
        """
        function main()
          local server = mtev.socket("inet")
          server:bind("127.0.0.1", 0)
          server:listen(1)
          local client = mtev.socket("inet")
          client:connect(server:sock_name())
          local peer = server:accept()
          print(peer:ssl_upgrade_socket())
          client:write("early bytes")
          peer:read(5)
          print(peer:ssl_upgrade_socket("c.pem", "k.pem"))
          print(mtev.socket("inet", "udp"):ssl_upgrade_socket())
          print(pcall(client.ssl_upgrade_socket, client, 5))
          print(client:ssl_ctx())
          os.exit(0)
        end
        """
    )
    assert text.splitlines() == [
        "-1\tthe accepting side needs a certificate",
        "-1\tthe peer sent data before the TLS handshake",
        "-1\tnot a stream socket",
        "false\tbad argument #1 to 'ssl_upgrade_socket' (string expected, got number)",
        "nil",
    ]


def test_megabytes_pass_both_ways_and_nothing_is_kept_of_a_session(
    lua: Any, authority: Authority, server_files: Issued
) -> None:
    context = ssl.create_default_context(cafile=str(authority.issued.certificate))
    source = """
    function main()
      local server = mtev.socket("inet")
      server:bind("127.0.0.1", 0)
      server:listen(10)
      print(select(2, server:sock_name()))
      for i = 1, 4 do
        local peer = server:accept()
        assert(peer:ssl_upgrade_socket(CERT, KEY) == 0)
        if i < 4 then
          local data = peer:read(3000000)
          assert(peer:write(data .. data) == 2 * #data)
          if i > 1 then peer:close() end
        end
      end
      collectgarbage() collectgarbage()
      os.exit(0)
    end
    """
    source = source.replace("CERT", f'"{server_files.certificate}"').replace("KEY", f'"{server_files.key}"')
    lua.start(source, tragedy_terminates=True)
    while not lua.printed().endswith("\n"):
        lua.on_thread(lambda: None)
    port = int(lua.printed())
    data = bytes(range(256)) * 12000
    for _ in range(3):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="www.example.com") as peer,
        ):
            peer.sendall(data[:3000000])
            back = b""
            while len(back) < 6000000:
                back += peer.recv(1000000)
            assert back == data[:3000000] * 2
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname="www.example.com") as peer,
    ):
        assert peer.recv(1) == b""
    assert lua.status() == 0, lua.errors()


def test_who_names_no_authority_trusts_the_default_one(
    client: Any, authority: Authority, server_files: Issued, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventer.settings(), "default_ca_chain", str(authority.issued.certificate))
    upgrade = 'print(socket:ssl_upgrade_socket({}, "www.example.com"))'
    with s_server(server_files) as port:
        assert client(port, upgrade) == "0\n"
    with s_server(server_files) as port:
        named = 'print(socket:ssl_upgrade_socket({ ca_file = CA }, "www.example.com"))'
        refused = client(port, named, CA=stranger.issued.certificate)
        assert refused.splitlines()[-1].startswith("-1\tcertificate verify failed")
    with s_server(stranger.issue("www.example.com", "www.example.com")) as port:
        assert client(port, upgrade).splitlines()[-1].startswith("-1\tcertificate verify failed")
