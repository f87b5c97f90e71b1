"""REST: mounted handlers behind access control.  Manual: REST.

Handlers may be mounted at any time, from any thread.
"""

import traceback
from collections.abc import Callable
from typing import Any, Final

from runtime import conf, eventer, hooks, log
from runtime.http.message.peer import Peer
from runtime.http.message.request import Request
from runtime.http.message.response import Response
from runtime.http.message.sampler import Sampler
from runtime.http.message.target import left_by, path_of

from . import acl as _acl
from . import generation
from .files import simple_file_handler
from .table import Auth, Handler, Mountpoint, Router, base_of

AUTH_DENIED = hooks.declare("rest_auth_denied")
"""``callback(request, response)``: may answer a request that access control denied, and returns DONE then."""
AUTHENTICATE = hooks.declare("http_request_authenticate")
"""``callback(request)``: a head has been read; may say who asks, in ``request.user`` and ``request.auth``, before
access control is asked."""
REQUEST_READ = hooks.declare("http_post_request_read_payload")
"""``callback(request, response)``: a request has been read whole.  DONE: the callback answers; ABORT: it is a 403."""
HTTP1_REQUEST_READ = hooks.declare("http1_post_request")
"""The same, before it, for requests of HTTP/1."""
GET_HANDLER = hooks.declare("mtev_rest_get_handler")
"""The same, after them, when a handler is about to be looked for."""

BEFORE = (HTTP1_REQUEST_READ, REQUEST_READ, GET_HANDLER)
"""Hooks that see a request before it is routed."""
_hooked: tuple[hooks.Hook, ...] = ()  # those of them, behind AUTHENTICATE, that somebody is registered for

Around = Callable[[Callable[[Request, Response], None], Request, Response], None]
_around: tuple[str, Around, Sampler | None] | None = None

_errors: Final = log.facility("error/rest")
_debug: Final = log.facility("debug/rest")

router = Router()

_acls = _acl.Acls([])
_warned = False  # that there are none


def configure(c: "conf.Conf | None") -> None:
    """Take the access control that *c* declares; None takes all away, and so denies everybody.

    Raises :exc:`runtime.conf.ConfError` with file and line, and leaves what was.  Manual: REST."""
    global _acls
    _acls = _acl.Acls([]) if c is None else _acl.read(c)
    generation.advance()


def check_access(c: "conf.Conf") -> None:
    """Look at the access control that *c* declares.  Complains (:meth:`runtime.conf.Conf.complain`)."""
    _acl.read(c)


def mount(
    method: bytes | str,
    base: bytes | str,
    expression: bytes | str,
    handler: Handler,
    *,
    auth: "Auth | None" = None,
    aco: bool = False,
    many: tuple[Any, int] | None = None,
    stream: bool = False,
) -> Mountpoint:
    """Have ``handler(request, response)`` serve *method* on paths that begin with *base* and whose rest matches.

    Args: *expression*, a PCRE that is applied to what follows *base*, captures go to ``request.captures``; *auth*, a
    function of the request, by default :func:`client_cert_auth`; *aco*, run the handler in a greenlet, where it may
    wait, as in :func:`runtime.eventer.aco_sleep` or :func:`runtime.eventer.aco_simple_asynch`; *many*, what serves
    several requests at once (:data:`runtime.http.protocol.batches.Many`), and the route's number there; *stream*, call
    it when the head was read: the body is in ``request.upload`` (:class:`Upload`), None where there is none.
    Raises ValueError for a base without a slash or a bad expression.  Manual: ``mtev_http_rest_new_rule``."""
    route = Mountpoint(
        _bytes(method), base_of(_bytes(base)), _bytes(expression), handler, auth or client_cert_auth, aco, many, stream
    )
    router.add(route)
    generation.advance()
    return route


def unmount(route: Mountpoint) -> bool:
    """Take *route* out; False when it is not mounted."""
    removed = router.remove(route)
    generation.advance()
    return removed


def client_cert_auth(request: Request) -> bool:
    """What ``<rest><acl>`` says of *request*.  Manual: ``mtev_http_rest_client_cert_auth``."""
    return allows(request.peer, request.uri, request.user, request.auth)


def anybody(_request: Request) -> bool:
    """For a route that is open to all, or whose handler sees to that itself."""
    return True


def allows(peer: Peer, target: bytes, user: bytes | None = None, auth: bytes | None = None) -> bool:
    """What ``<rest><acl>`` says of *peer* and *target*, as sent; *user* and *auth*, who authenticated, and how.

    Asked of the path, and of each directory that it enters only to leave it by ``..``."""
    acls = _acls
    if acls.constant:
        return True
    target = target.partition(b"?")[0]  # a query is nobody's concern here
    question = (peer.listener, target, peer.remote, peer.cn, user, auth)
    try:
        denied = acls.answers[question]
    except KeyError:
        denied = _denied_to(acls, peer, target, user, auth)
        if peer.listener:  # without a number there is nothing to tell configurations by
            acls.answers.keep(question, denied, len(target))
    if denied is not None:
        _tell_denied(acls, denied, peer)
    return denied is None


def _denied_to(
    acls: _acl.Acls, peer: Peer, target: bytes, user: bytes | None, auth: bytes | None
) -> _acl.Subject | None:
    """What of *target* is denied to *peer*, or None."""
    cn = None if peer.cn is None else peer.cn.encode()
    for path in (path_of(target), *left_by(target)):
        subject = _acl.Subject(path, peer.remote or None, cn, user, auth)
        if not acls.allows(subject, peer.config):
            return subject
    return None


def _tell_denied(acls: _acl.Acls, subject: _acl.Subject, peer: Peer) -> None:
    global _warned
    if not acls.exist and not _warned:
        _warned = True
        _errors.log("a request was denied: there is no <acl> below <rest>, and so everybody is\n")
    denials = log.stream_find("debug/acl")
    if denials.enabled:
        why = acls.explain(subject, peer.config)[1]
        who = f"{subject.ip or 'a local socket'}" + (f" cn={peer.cn}" if peer.cn is not None else "")
        path = subject.url.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()
        denials.log(f"{who} denied {path} on {peer.config.get('acl') or peer.local[0]}: {why}\n")


def is_same_for_all() -> bool:
    """Whether access control says the same to everybody, until :func:`generation.current` changes."""
    return _acls.constant is not None


def decide(
    peer: Peer, method: bytes, target: bytes, user: bytes | None = None, auth: bytes | None = None
) -> tuple[Mountpoint | None, int]:
    """Who serves *method* on *target*, as sent, for *peer*: a route, or none and the status that refuses it.

    A route with an ``auth`` other than :func:`client_cert_auth` wants that asked of the request besides.  A status of
    0 without a route: a file below the listener's document_root may be there, or the server itself answers.  The
    answer holds for as long as :func:`generation.current` stays what it was before the question."""
    path = path_of(target)
    if not path:
        return None, 400
    route, _, others = router.find(method, path)
    if route is None:
        if path == b"*" and method == b"OPTIONS":
            return None, 0
        if others and method == b"OPTIONS":
            return (_METHODS, 0) if allows(peer, target, user, auth) else (None, 403)
        if others:
            return None, 405
        if not peer.config.get("document_root"):
            return None, 404
        return None, 0 if allows(peer, target, user, auth) else 403
    if route.auth is client_cert_auth and not allows(peer, target, user, auth):
        return None, 403
    return route, 0


def surround(name: str, around: Around | None, sampler: Sampler | None = None) -> None:
    """Have ``around(serve, request, response)`` called for each request, which calls serve; None: nobody.

    With a *sampler* those that it does not want need not come by; of those that it wants ``span`` is True.

    Guests serve requests without it (:mod:`runtime.http.serve.guests`), and without the hooks that are registered as
    *name*: they do themselves what those are for."""
    global _around
    _around = None if around is None else (name, around, sampler)
    generation.advance()


def dispatch(request: Request, response: Response, *, surrounded: bool = False) -> None:
    """Serve *request*: hooks, route, access control, handler.  A handler that fails is a 500.

    *surrounded*, whoever surrounds requests has been told of it."""
    if _around is not None and not surrounded:
        _around[1](_dispatch_surrounded, request, response)
        return
    if _hooked and not _told_before(request, response):
        return
    path = request.path
    if not path:
        response.error(400)
        return
    route, captures, others = router.find(request.method, path)
    if route is None and others and request.method == b"OPTIONS":
        route = _METHODS
    if _debug.enabled:
        _debug.log(f"{request!r} goes to {'no rule' if route is None else repr(route)}\n")
    if route is None:
        _unrouted(request, response, others)
        return
    request.route = route
    request.captures = captures
    if request.upload is not None and not route.stream:
        response.error(503)  # the routes have changed since its head came
    elif not route.auth(request):
        _denied(request, response)
    elif route.aco:
        eventer.aco_start(_run, route.handler, request, response)
    else:
        try:
            route.handler(request, response)
        except Exception:
            _failed(request, response)


def _dispatch_surrounded(request: Request, response: Response) -> None:
    dispatch(request, response, surrounded=True)


def surrounded_by() -> str | None:
    """The name of who is called around each request."""
    return None if _around is None else _around[0]


def sampler() -> Sampler | None:
    """What tells which requests they want to see, where that can be told."""
    return None if _around is None else _around[2]


def _hooks_changed() -> None:
    global _hooked
    _hooked = tuple(each for each in (AUTHENTICATE, *BEFORE) if each.exists())
    generation.advance()


def _told_before(request: Request, response: Response) -> bool:
    """Tell the hooks of a request that was read; False when one of them answers it, or wants it refused."""
    for hook in _hooked:
        if hook is AUTHENTICATE:
            if request.user is None:
                hook.invoke(request)
        elif hook is not HTTP1_REQUEST_READ or request.protocol.startswith(b"HTTP/1"):
            verdict = hook.invoke(request, response)
            if verdict != hooks.CONTINUE:
                if verdict == hooks.ABORT:
                    response.error(403)
                return False
    return True


def admit(request: Request) -> int | None:
    """The status to refuse a request with before its body is read, or None.

    Sets ``request.streams`` where its handler reads the body itself."""
    if AUTHENTICATE.exists():
        AUTHENTICATE.invoke(request)
    route, status = decide(request.peer, request.method, request.uri, request.user, request.auth)
    if status == 403 and AUTH_DENIED.exists():
        return None  # who has an answer of its own to that gives it once the request is whole
    request.streams = route is not None and route.stream
    return None if route is not None or request.uri == b"*" else status or 405


def _run(handler: Handler, request: Request, response: Response) -> None:
    try:
        handler(request, response)
    except Exception:
        _failed(request, response)


def _failed(request: Request, response: Response) -> None:
    _errors.log(f"handler of {request!r} failed\n{traceback.format_exc()}")
    response.error(500)


def _unrouted(request: Request, response: Response, others: tuple[bytes, ...]) -> None:
    if request.uri == b"*" and request.method == b"OPTIONS":
        response.flush_end()
    elif _document_root(request) is not None and not others:
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
    if _debug.enabled:
        _debug.log(f"{request!r} is denied\n")
    if not AUTH_DENIED.exists() or AUTH_DENIED.invoke(request, response) == hooks.CONTINUE:
        response.error(403)


def _document_root(request: Request) -> str | None:
    return request.peer.config.get("document_root") or None


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _tell_methods(request: Request, response: Response) -> None:
    """What OPTIONS asks for where no route has that method: the methods that the path has.  Manual: REST."""
    others = router.find(request.method, request.path)[2]
    response.header("Allow", b", ".join((b"OPTIONS", *others)))
    response.header("Content-Type", "text/html")
    response.flush_end()


_METHODS: Final = Mountpoint(b"OPTIONS", b"/", b"", _tell_methods, client_cert_auth, False)
"""Stands for a route for OPTIONS on every path that has other methods."""

for _hook in (AUTHENTICATE, *BEFORE):
    _hook.changed = _hooks_changed
_hooks_changed()
