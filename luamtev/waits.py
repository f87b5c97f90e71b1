"""What coroutines wait for, as rows beside those of events: for sockets.json, timers.json and the console."""

import time
from typing import TYPE_CHECKING, Any

from runtime import eventer

if TYPE_CHECKING:
    from luamtev.port import Port


def descriptors(state: "Port") -> list[eventer.Row]:
    """The descriptors that Lua has open, waited on or not; on the state's thread, when no Lua runs."""
    rows = []
    for each in _asked(state, b"descriptors"):
        local, remote = eventer.addresses(int(each["fd"]))
        mask = int(each["mask"])
        told = {
            "callback": f"lua/{'idle' if not mask else 'read' if mask & eventer.READ else 'write'}",
            "fd": int(each["fd"]),
            "mask": mask,
            "impl": "SSL" if each["tls"] else "POSIX",
            "local": local,
            "remote": remote,
        }
        if each.get("made_at"):
            told["made_at"] = each["made_at"]
        rows.append(_row(state, told, each))
    return rows


def deadlines(state: "Port") -> list[eventer.Row]:
    """The coroutines that something happens to at a certain time; likewise."""
    now = time.time()
    return [
        _row(state, {"callback": f"lua/{each['what']}", "whence": int((now + each["left"]) * 1000)}, each)
        for each in _asked(state, b"deadlines")
    ]


def _asked(state: "Port", question: bytes) -> list[dict[str, Any]]:
    found = state.inspect(question).get("rows") or []
    return list(found) if isinstance(found, list) else []  # Lua's empty table is no list


def _row(state: "Port", told: dict[str, Any], said: dict[str, Any]) -> eventer.Row:
    told["module"] = state.name
    for key in ("coroutine", "source"):
        if said.get(key):
            told[key] = said[key]
    return eventer.Row(told, said.get("coroutine") or "(nil)", f"{id(state):#x}")
