"""TLS for sockets of Lua: sessions by their handles.  What they are made of is imported when there is the first."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import Handles

if TYPE_CHECKING:
    from luamtev.api.tls_session import Session
    from luamtev.port import Port


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/tls.lua`` builds on."""
    sessions: Handles[Session] = Handles()

    def start(fd: int, server_side: bool, *options: bytes) -> Any:
        from luamtev.api.tls_session import Settings, open_session, reason

        settings = Settings(*(each.decode("utf-8", "surrogateescape") for each in options))
        try:
            return sessions.add(open_session(int(fd), server_side, settings))
        except (OSError, ValueError) as bad:
            return None, reason(bad)

    def close(handle: int) -> None:
        session = sessions.pop(handle)
        if session is not None:
            session.close()

    def release(handle: int) -> None:
        session = sessions.pop(handle)
        if session is not None:
            session.release()

    return {
        "tls_start": start,
        "tls_handshake": lambda handle: sessions[handle].handshake(),
        "tls_read": lambda handle, most: sessions[handle].read(int(most)),
        "tls_write": lambda handle, data: sessions[handle].write(data),
        "tls_describe": lambda handle: sessions[handle].describe(),
        "tls_close": close,
        "tls_release": release,
    }
