"""The log streams that the stack itself writes to.  Manual: Built-in logging facilities.

They are there from the start and stay the same objects for ever, so that whoever logs can keep his and pays one test of
its ``enabled`` while it is off.  What each says, docs/reference/logging.md tells.
"""

from typing import Final

NAMES: Final = (
    "debug/amqp",
    "debug/cluster",
    "debug/conf",
    "debug/consul",
    "debug/consul/curl",
    "debug/dwarf",
    "debug/eventer",
    "debug/fq",
    "debug/http",
    "debug/http2",
    "debug/http_observer",
    "debug/listener",
    "debug/lua",
    "debug/memory",
    "debug/rest",
    "debug/reverse",
    "debug/time",
    "debug/websocket_client",
    "debug/xml",
    "debug/zipkin_fq",
    "debug/zipkin_jaeger",
    "error/amqp",
    "error/cluster",
    "error/conf",
    "error/consul",
    "error/eventer",
    "error/fq",
    "error/http_observer",
    "error/listener",
    "error/lua",
    "error/rest",
    "error/reverse",
    "error/websocket_client",
    "error/zipkin_jaeger",
    "http",
    "http/access",
    "http/io",
)
"""Each after the one it leads to, the name up to the last ``/``; ``http`` leads nowhere unless configured."""
