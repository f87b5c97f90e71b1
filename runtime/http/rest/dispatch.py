"""REST: mounted handlers behind access control.  Manual: REST.

Handlers may be mounted at any time, from any thread.
"""

import traceback

from runtime import conf, eventer, hooks, log
from runtime.http.message.request import Request
from runtime.http.message.response import Response

from . import acl as _acl
from .files import simple_file_handler
from .paths import normal
from .table import Auth, Handler, Mountpoint, Router, base_of

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
    peer = request.peer
    subject = _acl.Subject(
        normal(request.path),
        peer.remote or None,
        None if peer.cn is None else peer.cn.encode(),
        request.user,
        request.auth,
    )
    return acls.allows(subject, peer.config, peer.listener)


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
    return request.peer.config.get("document_root") or None


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


for _hook in _BEFORE:
    _hook.changed = _hooks_changed
_hooks_changed()
