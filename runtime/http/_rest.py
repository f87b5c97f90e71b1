"""REST: mounted handlers behind access control, and the listener type that serves them.  Manual: REST.

The types are named when this room is imported; handlers may be mounted at any time, from any thread.
"""

import traceback

from runtime import conf, eventer, hooks, log
from runtime.eventer import EXCEPTION, READ, Event
from runtime.net import Connection, check_config, set_fallback

from . import _acl
from ._files import simple_file_handler
from ._ledger import completed
from ._limits import Limits, from_config
from ._paths import normal
from ._request import Request
from ._response import Response
from ._route import Auth, Handler, Mountpoint, Router, base_of
from ._session import Session, ready

AUTH_DENIED = hooks.declare("rest_auth_denied")
"""``callback(request, response)``: may answer a request that access control denied, and returns DONE then."""
REQUEST_READ = hooks.declare("http_post_request_read_payload")
"""``callback(request, response)``: a request has been read whole.  DONE: the callback answers; ABORT: it is a 403."""
HTTP1_REQUEST_READ = hooks.declare("http1_post_request")
"""The same, before it, for requests of HTTP/1."""
GET_HANDLER = hooks.declare("mtev_rest_get_handler")
"""The same, after them, when a handler is about to be looked for."""

_BEFORE = (HTTP1_REQUEST_READ, REQUEST_READ, GET_HANDLER)
_hooked: tuple[hooks.Hook, ...] = ()  # those of them that somebody is registered for

router = Router()

_acls = _acl.Acls([])
_limits: dict[int, tuple[Limits, object]] = {}


def configure(c: "conf.Conf | None") -> None:
    """Take the access control that *c* declares; None takes all away, and so denies everybody.

    Raises :exc:`runtime.conf.ConfError` with file and line, and leaves what was.  Manual: REST."""
    global _acls
    _acls = _acl.Acls([]) if c is None else _acl.read(c)


def mount(
    method: bytes | str,
    base: bytes | str,
    expression: bytes | str,
    handler: Handler,
    *,
    auth: "Auth | None" = None,
    aco: bool = False,
) -> Mountpoint:
    """Have ``handler(request, response)`` serve *method* on paths that begin with *base* and whose rest matches.

    Args: *expression*, a PCRE that is applied to what follows *base*, captures go to ``request.captures``; *auth*, a
    function of the request, by default :func:`client_cert_auth`; *aco*, run the handler in a greenlet, where it may
    wait, as in :func:`runtime.eventer.aco_sleep` or :func:`runtime.eventer.aco_simple_asynch`.
    Raises ValueError for a base without a slash or a bad expression.  Manual: ``mtev_http_rest_new_rule``."""
    rule = Mountpoint(_bytes(method), base_of(_bytes(base)), _bytes(expression), handler, auth or client_cert_auth, aco)
    router.add(rule)
    return rule


def unmount(rule: Mountpoint) -> bool:
    """Take *rule* out; False when it is not mounted."""
    return router.remove(rule)


def client_cert_auth(request: Request) -> bool:
    """What ``<rest><acl>`` says of *request*.  Manual: ``mtev_http_rest_client_cert_auth``."""
    acls = _acls
    if acls.constant is not None:
        return acls.constant
    connection = None if request.session is None else request.session.connection
    subject = _acl.Subject(
        normal(request.path),
        None if connection is None else connection.remote[0],
        None if connection is None or connection.cn is None else connection.cn.encode(),
        request.user,
        request.auth,
    )
    return acls.allows(subject, {} if connection is None else connection.config)


def dispatch(request: Request, response: Response) -> None:
    """Serve *request*: hooks, route, access control, handler.  A handler that fails is a 500."""
    if _hooked and not _told_before(request, response):
        return
    rule, captures, others = router.find(request.method, request.path)
    if rule is None:
        _unrouted(request, response, others)
        return
    request.route = rule
    request.captures = captures
    if not rule.auth(request):
        _denied(request, response)
    elif rule.aco:
        eventer.aco_start(_run, rule.handler, request, response)
    else:
        try:
            rule.handler(request, response)
        except Exception:
            _failed(request, response)


def _hooks_changed() -> None:
    global _hooked
    _hooked = tuple(each for each in _BEFORE if each.exists())


def _told_before(request: Request, response: Response) -> bool:
    """Tell the hooks of a request that was read; False when one of them answers it, or wants it refused."""
    for hook in _hooked:
        if hook is not HTTP1_REQUEST_READ or request.protocol.startswith(b"HTTP/1"):
            verdict = hook.invoke(request, response)
            if verdict != hooks.CONTINUE:
                if verdict == hooks.ABORT:
                    response.error(403)
                return False
    return True


def admit(request: Request) -> int | None:
    """The status to refuse a request with before its body is read, or None."""
    rule, _, others = router.find(request.method, request.path)
    if rule is None:
        known = others or (_document_root(request) is not None and client_cert_auth(request))
        return 405 if known else 404
    return None if rule.auth is not client_cert_auth or client_cert_auth(request) else 403


def http_rest_api(event: Event, _mask: int, connection: Connection, _now: float) -> int:
    """The listener type: takes a new connection over."""
    connection.closure = Session(connection, dispatch, _limits_of(connection), admit, completed)
    event.callback = ready
    event.closure = connection.closure
    return READ | EXCEPTION


def http_after_word(event: Event, connection: Connection, word: bytes, now: float) -> int:
    """Take over a connection of which *word* was read already."""
    http_rest_api(event, 0, connection, now)
    session = connection.closure
    assert isinstance(session, Session)
    session.begin(word, now)
    return event.mask


def wire_rest_api(event: Event, mask: int, connection: Connection, now: float) -> int:
    """The same under the name that connections made the other way round have."""
    return http_rest_api(event, mask, connection, now)


def _run(handler: Handler, request: Request, response: Response) -> None:
    try:
        handler(request, response)
    except Exception:
        _failed(request, response)


def _failed(request: Request, response: Response) -> None:
    log.error.log(f"handler of {request!r} failed\n{traceback.format_exc()}")
    response.error(500)


def _unrouted(request: Request, response: Response, others: tuple[bytes, ...]) -> None:
    if _document_root(request) is not None and not others:
        if client_cert_auth(request):
            _run(simple_file_handler, request, response)
        else:
            _denied(request, response)
    elif others:
        response.header("Allow", b", ".join(others))
        response.error(405)
    else:
        response.error(404)


def _denied(request: Request, response: Response) -> None:
    if not AUTH_DENIED.exists() or AUTH_DENIED.invoke(request, response) == hooks.CONTINUE:
        response.error(403)


def _document_root(request: Request) -> str | None:
    return None if request.session is None else request.session.connection.config.get("document_root") or None


def _limits_of(connection: Connection) -> Limits:
    known = _limits.get(id(connection.config))
    if known is None:  # held together, so that the id stays its own
        known = _limits[id(connection.config)] = (from_config(connection.config), connection.config)
    return known[0]


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


for _hook in _BEFORE:
    _hook.changed = _hooks_changed
_hooks_changed()
for _name, _function in (("http_rest_api", http_rest_api), ("mtev_wire_rest_api/1.0", wire_rest_api)):
    eventer.name_callback(_name, _function)
    check_config(_name, from_config)
check_config("control_dispatch", from_config)
set_fallback(http_after_word)
