"""Access control over real connections: who asks, for which path, and what the logs say of a denial."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from hearing import hear
from serving import house, server

from runtime import conf, http, net
from runtime.eventer import Pool
from runtime.http import Request, Response
from runtime.http.rest import dispatch
from runtime.net._tls import Tls


@pytest.fixture(autouse=True)
def open_house(loops: Pool) -> Iterator[None]:
    with house(("GET", "^.*$", seen), ("POST", "^.*$", seen)):
        http.mount("GET", "/admin/", "^.*$", admin)
        yield


def seen(request: Request, response: Response) -> None:
    response.write(b"saw " + request.path)
    response.flush_end()


def admin(request: Request, response: Response) -> None:
    response.write(b"ADMIN " + request.path)
    response.flush_end()


def allow(rules: str) -> None:
    http.configure(conf.loads(f'<app><rest><acl type="allow">{rules}</acl></rest></app>'.encode(), "app.conf"))


def ask(to: int, target: str, method: str = "GET", more: str = "") -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", to), 20) as client:
        return said(client, target, method, more)


def said(client: socket.socket, target: str, method: str = "GET", more: str = "") -> tuple[int, bytes]:
    client.sendall(f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n".encode("latin-1"))
    data = b""
    while chunk := client.recv(65536):
        data += chunk
    return int(data[9:12]), data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/x", 200, b"saw /x"),
        ("/admin/x", 403, None),
        ("/admin/../x", 403, None),  # entered, if only to leave
        ("/admin/%2e%2e/x", 403, None),
        ("/admin/..%2fx", 403, None),
        ("/admin/x/../../../ok", 403, None),
        ("//admin/x", 403, None),
        ("/x/../admin/x", 403, None),
        ("/x/%2e%2e/admin/x", 403, None),
        ("/./admin/x", 403, None),
        ("/%61dmin/x", 403, None),
        ("/admin%2fx", 403, None),
        ("/x/..%2Fadmin%2Fx", 403, None),
        ("http://a/admin/x", 403, None),
        ("/x/../y", 200, b"saw /y"),
        ("/a//b/./c", 200, b"saw /a/b/c"),
        ("/%2561dmin/x", 200, b"saw /%61dmin/x"),  # decoded once
        ("/x?/admin/", 200, b"saw /x"),
        ("/x?y=http://a/admin/x", 200, b"saw /x"),
        ("http://a?x=/admin/x", 200, b"saw /"),
        ("/a%00b", 400, None),
        ("/a%zz", 400, None),
        ("/a%", 400, None),
    ],
)
def test_handlers_and_access_control_see_one_path(target: str, status: int, body: bytes | None) -> None:
    allow('<rule type="deny" url="^/admin/"/>')
    found = ask(server(), target)
    assert found[0] == status
    if body is not None:
        assert found[1] == body


def test_a_base_is_found_by_the_same_path() -> None:
    allow("")
    to = server()
    for target in ("/x/../admin/y", "/admin//y", "/%61dmin/y", "/admin/./y"):
        assert ask(to, target) == (200, b"ADMIN /admin/y"), target
    assert ask(to, "/admin/../y") == (200, b"saw /y")


def test_a_denied_upload_is_refused_before_its_body() -> None:
    allow('<rule type="deny" url="^/admin/"/>')
    assert ask(server(), "/x/../admin/y", "POST", "Content-Length: 100\r\n")[0] == 403


def test_the_server_itself_may_be_asked_for_its_options() -> None:
    http.configure(None)
    assert ask(server(), "*", "OPTIONS") == (200, b"")


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1/32", 403), ("127.0.0.2/32", 200), ("127.0.0.0/8", 403)])
def test_rules_see_the_address_of_the_client(address: str, status: int) -> None:
    allow(f'<rule type="deny" ip="{address}"/>')
    to = server()
    assert ask(to, "/x")[0] == status
    assert ask(to, "/x", "POST", "Content-Length: 0\r\n")[0] == status


@pytest.mark.parametrize(("name", "status"), [("alice", 200), ("alicia", 403), (None, 403)])
def test_rules_see_the_name_in_the_certificate_of_the_client(name: str | None, status: int, tmp_path: Path) -> None:
    http.configure(conf.loads(b'<app><rest><acl><rule type="allow" cn="^alice$"/></acl></rest></app>'))
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    ca = str(authority.issued.certificate)
    tls = Tls({"certificate_file": str(issued.certificate), "key_file": str(issued.key), "ca_chain": ca})
    context = ssl.create_default_context(cafile=ca)
    if name is not None:
        mine = authority.issue(name)
        context.load_cert_chain(mine.certificate, mine.key)
    with socket.create_connection(("127.0.0.1", server(tls)), 20) as plain:
        client = context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True)
        assert said(client, "/x")[0] == status
        client.close()


def test_a_denial_names_the_rule_that_decided() -> None:
    heard = hear("debug/acl")
    to = server(acl="outer")
    http.configure(
        conf.loads(
            b'<app><rest>\n<acl listener_acl="^inner$"/>\n<acl>\n<rule type="deny" url="^/a"/>\n'
            b'<rule type="allow" url="^/b"/></acl></rest></app>',
            "app.conf",
        )
    )
    assert [ask(to, each)[0] for each in ("/a", "/b", "/c%1bd", "/b/../c")] == [403, 200, 403, 403]
    assert heard() == [
        "127.0.0.1 denied /a on outer: <rule> of app.conf:4\n",
        "127.0.0.1 denied /c\\x1bd on outer: no rule of the <acl> of app.conf:3\n",
        "127.0.0.1 denied /c on outer: no rule of the <acl> of app.conf:3\n",
    ]


def test_that_there_is_no_access_control_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_warned", False)
    errors = hear("error/rest")
    heard = hear("debug/acl")
    http.configure(None)
    to = server()
    assert [ask(to, "/x")[0] for _ in range(3)] == [403] * 3
    assert len(errors()) == 1
    assert len(heard()) == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/.git/config", 403),
        ("/sub/.env", 403),
        ("/.env", 403),
        ("/%2eenv", 403),
        ("/.none", 403),  # there or not
        ("/.well-known/acme", 200),
        ("/.well-known/.secret", 403),
        ("/.well-knownx/a", 403),
        ("/plain", 200),
    ],
)
def test_files_that_begin_with_a_dot_are_not_served(path: str, status: int, tmp_path: Path) -> None:
    for each in http.router.mountpoints:
        http.unmount(each)
    names = (".git/config", "sub/.env", ".env", ".well-known/acme", ".well-known/.secret", ".well-knownx/a", "plain")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    allow("")
    assert ask(server(document_root=str(tmp_path)), path)[0] == status
    if path != "/.none":
        assert ask(server(document_root=str(tmp_path), dot_files="true"), path)[0] == 200


def test_a_setting_of_dot_files_that_is_none_is_an_error() -> None:
    with pytest.raises(net.NetError, match="dot_files 'perhaps'"):
        server(dot_files="perhaps")
