"""What Lua states say of themselves in ``/metrics``."""

from typing import Any

from luamtev import asking
from luamtev.state import State, states
from runtime.ops import Family

_STATES = {
    "coroutines": ("readable", "sleep", "ticket", "turn", "waitfor", "writable"),
    "sockets": ("idle", "readable", "writable"),
}


def families(answer: Any) -> None:
    """Ask every state, and call *answer* with the families; a state that is busy is left out."""
    asking.ask(states(), lambda found: answer(_families(found)), b"figures", timeout=1.0)


def _families(found: dict[State, Any]) -> list[Family]:
    heap = Family("lua_heap_bytes", "gauge", "Memory of a Lua state.")
    coroutines = Family("lua_coroutines", "gauge", "Coroutines of a Lua state, by what they wait for.")
    sockets = Family("lua_sockets", "gauge", "Descriptors that Lua has open, by what is awaited.")
    visits = Family("lua_visits", "counter", "Times that the event loop called a Lua state.")
    busy = Family("lua_busy", "gauge", "1 for a Lua state that does not answer, for it runs and runs.")
    in_flight = Family("http_requests_in_flight", "gauge", "Requests that are served now.")
    for state, said in found.items():
        where = {"module": state.options.name, "thread": state.thread.name}
        busy.add(1 if "error" in said else 0, **where)
        if "error" in said:
            continue
        heap.add(said["memory"], **where)
        visits.add(said["visits"], **where)
        for family, key in ((coroutines, "coroutines"), (sockets, "sockets")):
            counts = dict.fromkeys(_STATES[key], 0) | (said[key] or {})
            for what, count in sorted(counts.items()):
                family.add(count, **where, state=what)
        if "in_flight" in said:
            in_flight.add(said["in_flight"], server="lua", thread=state.thread.name)
    return [heap, coroutines, sockets, visits, busy, in_flight]
