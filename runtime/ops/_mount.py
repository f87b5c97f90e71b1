"""Which endpoint is where."""

from runtime import http, net, stats
from runtime.net import Connection

from . import _capa, _eventer, _logs, _process, _reverse, _stats

_ENDPOINTS = (
    ("GET", "/", r"^capa$", _capa.capa),
    ("GET", "/", r"^capa\.json$", _capa.capa_json),
    ("GET", "/", r"^metrics$", _stats.metrics),
    ("GET", "/eventer/", r"^sockets\.json$", _eventer.sockets),
    ("GET", "/eventer/", r"^timers\.json$", _eventer.timers),
    ("GET", "/eventer/", r"^jobq\.json$", _eventer.jobq),
    ("GET", "/eventer/", r"^memory\.json$", _eventer.memory),
    ("GET", "/eventer/", r"^logs/(.+)\.json$", _logs.logs),
    ("GET", "/mtev/", r"^stats\.json$", _stats.stats_json),
    ("DELETE", "/mtev/", r"^stats\.json$", _stats.stats_json),
    ("GET", "/mtev/", r"^memory\.json$", _process.memory),
    ("GET", "/mtev/", r"^heap_profile$", _process.heap_profile),
    ("GET", "/mtev/", r"^rest\.json$", _process.rest),
    ("GET", "/reverse/", r"^show$", _reverse.show),
    ("GET", "/reverse/", r"^show\.json$", _reverse.show_json),
)

_mounted = False


def mount() -> None:
    """Mount the endpoints, and register the commands ``CAPA`` and ``REVE``; once for the life of the process."""
    global _mounted
    if _mounted:
        return
    _mounted = True
    for method, base, expression, handler in _ENDPOINTS:
        http.mount(method, base, expression, handler)
    net.register_command(b"CAPA", "capabilities_transit/1.0", _bare_capa, "/capa")
    net.register_command(b"REVE", "reverse_accept/1.0", _reverse.accept, None)
    stats.source(_stats.log_lines)


def _bare_capa(connection: Connection) -> bytes:
    """The bare command, for those who speak no HTTP."""
    return _capa.as_xml("control_dispatch")
