"""Hooks of the stack for Lua: a function of a module is called where somebody invokes a hook.  Manual: mtev.hook.

It is called when the hook is invoked on the hub of a thread with a state of the same module while no Lua runs there;
elsewhere the chain goes on as if it had returned MTEV_HOOK_CONTINUE.  Objects cross as what their method
``described`` gives.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from runtime import eventer, hooks
from runtime.log import LogStream

if TYPE_CHECKING:
    from luamtev.port import Port


OF_THE_STACK: Final = (
    "conf_reloaded",
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
        state.on_close(lambda: hook.unregister(known_as))
        if kin is not None:
            kin.spread()

    def console_print(number: float, text: bytes) -> None:
        from runtime.console import find

        console = find(int(number))
        if console is not None:
            console.home.post(console.print, text.decode("utf-8", "replace"))

    return {"hook_exists": hook_exists, "hook_register": hook_register, "console_print": console_print}


def _crossing(value: Any) -> Any:
    """*value* as Lua gets it; None for what has no form there."""
    if isinstance(value, bytes | str | int | float | bool | None):
        return value
    if isinstance(value, LogStream):
        return value.name
    if isinstance(value, etree._Element):
        path = value.getroottree().getpath(value)
        return {"path": path, "name": value.tag, "attributes": dict(value.attrib)}
    describe = getattr(type(value), "described", None)
    return None if describe is None else describe(value)
