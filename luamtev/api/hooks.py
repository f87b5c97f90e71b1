"""Hooks of the stack for Lua: a function of a module is called where somebody invokes a hook.  Manual: mtev.hook.

It is called when the hook is invoked on the hub of a thread with a state of the same module while no Lua runs there;
elsewhere the chain goes on as if it had returned MTEV_HOOK_CONTINUE.  Objects cross as tables of what is known of them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from runtime import eventer, hooks

if TYPE_CHECKING:
    from luamtev.port import Port


OF_THE_STACK: Final = (
    "http1_post_request",
    "http_auth",
    "http_post_request_read_payload",
    "http_request_authenticate",
    "http_request_complete",
    "http_request_log",
    "http_response_send",
    "http_response_starting",
    "mtev_amqp_handle_connection_dyn",
    "mtev_amqp_handle_message_dyn",
    "mtev_cluster_handle_node_update",
    "mtev_conf_delete_section",
    "mtev_conf_value_fixup",
    "mtev_console_dispatch",
    "mtev_fq_handle_message_dyn",
    "mtev_log_flatbuffer",
    "mtev_log_line",
    "mtev_log_plain",
    "mtev_rest_get_handler",
    "rest_auth_denied",
    "zipkin_publish",
    "zipkin_publish_span",
)
"""Hooks that are there for Lua even if what invokes them has not been imported, and perhaps never is."""


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/hooks.lua`` builds on."""

    for each in OF_THE_STACK:
        hooks.declare(each)

    def hook_exists(name: bytes) -> bool:
        return hooks.find(name.decode("utf-8", "replace")) is not None

    def hook_register(name: bytes, module: bytes, function: bytes) -> None:
        hook = hooks.find(name.decode("utf-8", "replace"))
        assert hook is not None
        kin = state.kin
        owner = f"{id(kin):x}" if kin is not None else f"{state.thread.name} {id(state):x}"
        known_as = f"{module.decode('utf-8', 'replace')}.{function.decode('utf-8', 'replace')} of {owner}"

        def call(*arguments: Any) -> int:
            if not eventer.is_loop_thread():
                return hooks.CONTINUE
            here = state if kin is None else kin.on(eventer.current())
            if here is None or not here.can_enter():
                return hooks.CONTINUE
            answer = here.enter("hook", module, function, *(here.plain(_crossing(each)) for each in arguments))
            return hooks.CONTINUE if answer is None else int(answer[0])

        try:
            hook.register(known_as, call)
        except ValueError:
            return  # by another thread's state
        state.closers.append(lambda: hook.unregister(known_as))
        if kin is not None:
            kin.spread()

    def console_print(number: float, text: bytes) -> None:
        console = _consoles.get(int(number))
        if console is not None:
            console.home.post(console.print, text.decode("utf-8", "replace"))

    return {"hook_exists": hook_exists, "hook_register": hook_register, "console_print": console_print}


_consoles: "WeakValueDictionary[int, Any]" = WeakValueDictionary()


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


def _console(console: Any) -> dict[str, Any]:
    _consoles[id(console)] = console
    return {"console": id(console), "name": console.name}


_FORMS: dict[str, Callable[[Any], Any]] = {
    "LogStream": lambda stream: stream.name,
    "Request": _request,
    "Response": _response,
    "Line": _line,
    "_Element": _element,
    "Console": _console,
}
