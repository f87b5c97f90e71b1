"""HTTP servers: requests and responses, REST routing, access control, files, WebSocket.  Manual: REST, Listeners.

A handler is ``handler(request, response)``, mounted with :func:`mount` and called on its loop thread, where
it may not block.  It ends the response then, or later by :meth:`Response.resume` from anywhere.
"""

from ._acl import Acls, Subject
from ._files import serve_file, simple_file_handler
from ._http1 import Http1
from ._ledger import completed, settle_all
from ._limits import Limits
from ._request import Request
from ._response import CHUNKED, CLOSE, DEFLATE, GZIP, Response
from ._rest import admit, client_cert_auth, configure, dispatch, http_rest_api, mount, router, unmount
from ._route import Mountpoint, Router
from ._session import Session, ready
from ._status import reason
from ._sweeper import drain
from ._upgrade import BINARY, PING, PONG, TEXT, websocket

__all__ = [
    "BINARY",
    "CHUNKED",
    "CLOSE",
    "DEFLATE",
    "GZIP",
    "PING",
    "PONG",
    "TEXT",
    "Acls",
    "Http1",
    "Limits",
    "Mountpoint",
    "Request",
    "Response",
    "Router",
    "Session",
    "Subject",
    "admit",
    "client_cert_auth",
    "completed",
    "configure",
    "dispatch",
    "drain",
    "http_rest_api",
    "mount",
    "ready",
    "reason",
    "router",
    "serve_file",
    "settle_all",
    "simple_file_handler",
    "unmount",
    "websocket",
]
