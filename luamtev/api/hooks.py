"""Hooks of the stack for Lua: a function of a module is called where somebody invokes a hook.  Manual: mtev.hook.

It is called when the hook is invoked on the hub of the state's own thread while no Lua runs there; elsewhere the chain
goes on as if it had returned MTEV_HOOK_CONTINUE.  Objects cross as tables of what is known of them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from runtime import hooks

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/hooks.lua`` builds on."""

    def hook_exists(name: bytes) -> bool:
        return hooks.find(name.decode("utf-8", "replace")) is not None

    def hook_register(name: bytes, number: float, described: bytes) -> bool:
        hook = hooks.find(name.decode("utf-8", "replace"))
        if hook is None:
            return False
        index = int(number)
        known_as = f"{described.decode('utf-8', 'replace')} {state.thread.name} {id(state):x}/{index}"

        def call(*arguments: Any) -> int:
            if not state.can_enter():
                return hooks.CONTINUE
            answer = state.enter("hook", index, *(state.plain(_crossing(each)) for each in arguments))
            return hooks.CONTINUE if answer is None else int(answer[0])

        hook.register(known_as, call)
        state.closers.append(lambda: hook.unregister(known_as))
        return True

    return {"hook_exists": hook_exists, "hook_register": hook_register}


def _crossing(value: Any) -> Any:
    """*value* as Lua gets it; None for what has no form there."""
    if isinstance(value, bytes | str | int | float | bool | None):
        return value
    describe = _FORMS.get(type(value).__name__) or getattr(type(value), "described", None)
    return None if describe is None else describe(value)


def _request(request: Any) -> dict[str, Any]:
    return {
        "method": request.method,
        "uri": request.path,
        "querystring": request.query,
        "protocol": request.protocol,
        "user": request.user,
        "headers": request.headers,
        "remote": request.peer.remote or None,
    }


def _response(response: Any) -> dict[str, Any]:
    return {"status": response.code, "bytes_written": response.written, "complete": response.complete}


def _line(line: Any) -> dict[str, Any]:
    return {"facility": line.facility, "message": line.message, "whence": line.when / 1e9}


def _element(element: Any) -> dict[str, Any]:
    path = element.getroottree().getpath(element)
    return {"path": path, "name": element.tag, "attributes": dict(element.attrib)}


_FORMS: dict[str, Callable[[Any], Any]] = {
    "LogStream": lambda stream: stream.name,
    "Request": _request,
    "Response": _response,
    "Line": _line,
    "_Element": _element,
}
