"""Which endpoint is where."""

from runtime import http, net, stats
from runtime.net import Connection

from . import _capa, _eventer, _logs, _metrics, _page, _process, _profile, _reverse, _stats

_ENDPOINTS = (
    ("GET", "/", r"^capa$", _capa.capa),
    ("GET", "/", r"^capa\.json$", _capa.capa_json),
    ("GET", "/", r"^metrics$", _metrics.metrics),
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
_profiles = True


def profiles() -> bool:
    """Whether profiles are wanted: those who take them of their own language ask before they mount."""
    return _profiles


_PAGE = (
    ("GET", "/", r"^ops$", _page.redirect),
    ("GET", "/ops/", r"^(index\.html|ops\.css|ops\.js)?$", _page.page),
    ("GET", "/ops/", r"^loops\.json$", _page.loops),
    ("GET", "/ops/", r"^logs\.json$", _page.logs),
    ("POST", "/ops/", r"^logs\.json$", _page.logs),
)


def mount(*, page: bool = True, profile: bool = True) -> None:
    """Mount the endpoints, and register the commands ``CAPA`` and ``REVE``; once for the life of the process.

    Args: *page* and *profile*, whether these are wanted."""
    global _mounted, _profiles
    if _mounted:
        return
    _mounted = True
    _profiles = profile
    endpoints = [*_ENDPOINTS, *(_PAGE if page else ())]
    if profile:
        endpoints.append(("GET", "/mtev/", r"^profile$", _profile.profile))
    for method, base, expression, handler in endpoints:
        http.mount(method, base, expression, handler)
    net.register_command(b"CAPA", "capabilities_transit/1.0", _bare_capa, "/capa")
    net.register_command(b"REVE", "reverse_accept/1.0", _reverse.accept, None)
    stats.source(_stats.log_lines)


def _bare_capa(connection: Connection) -> bytes:
    """The bare command, for those who speak no HTTP."""
    return _capa.as_xml("control_dispatch")
