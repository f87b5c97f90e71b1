"""HTTP servers: requests and responses, REST routing, access control, files, WebSocket.  Manual: REST, Listeners.

A handler is ``handler(request, response)``, mounted with :func:`mount` and called on its loop thread, where
it may not block.  It ends the response then, or later by :meth:`Response.resume` from anywhere.
"""

from .ledger.entry import Entry
from .ledger.settle import completed, settle, settle_all
from .ledger.settle import write as write_entries
from .message.draft import CHUNKED, CLOSE, DEFLATE, GZIP
from .message.limits import HIGH_WATER, Limits
from .message.peer import NOBODY, Peer
from .message.request import Request
from .message.response import Response
from .message.sampler import Sampler
from .message.status import reason
from .message.upload import Upload, UploadError
from .protocol.framing import Framing
from .protocol.http1 import Http1
from .protocol.opcodes import BINARY, PING, PONG, TEXT
from .rest import generation
from .rest.acl import Acls, Subject
from .rest.dispatch import (
    admit,
    allows,
    anybody,
    check_access,
    client_cert_auth,
    configure,
    decide,
    dispatch,
    is_same_for_all,
    mount,
    router,
    surround,
    surrounded_by,
    unmount,
)
from .rest.files import serve_file, simple_file_handler
from .rest.table import Mountpoint, Router
from .rest.upgrade import websocket
from .serve.guests import Guest, is_hooked, let_go, receive
from .serve.listener import adopt, http_rest_api
from .serve.session import Session, log_timeout, ready
from .serve.sweeper import finish, in_flight, sessions_of

__all__ = [
    "BINARY",
    "CHUNKED",
    "CLOSE",
    "DEFLATE",
    "GZIP",
    "HIGH_WATER",
    "NOBODY",
    "PING",
    "PONG",
    "TEXT",
    "Acls",
    "Entry",
    "Framing",
    "Guest",
    "Http1",
    "Limits",
    "Mountpoint",
    "Peer",
    "Request",
    "Response",
    "Router",
    "Sampler",
    "Session",
    "Subject",
    "Upload",
    "UploadError",
    "admit",
    "adopt",
    "allows",
    "anybody",
    "check_access",
    "client_cert_auth",
    "completed",
    "configure",
    "decide",
    "dispatch",
    "finish",
    "generation",
    "http_rest_api",
    "in_flight",
    "is_hooked",
    "is_same_for_all",
    "let_go",
    "log_timeout",
    "mount",
    "ready",
    "reason",
    "receive",
    "router",
    "serve_file",
    "sessions_of",
    "settle",
    "settle_all",
    "simple_file_handler",
    "surround",
    "surrounded_by",
    "unmount",
    "websocket",
    "write_entries",
]
