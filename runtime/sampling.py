"""Which requests are traced: in percent, those without a trace of their own, with one, and with a debug flag.

Manual: Zipkin; Console, ``mtev zipkin``."""

from collections.abc import Callable

new = 0.0
parented = 100.0
debug = 100.0

_told: list[Callable[[], object]] = []


def change(
    new_traces: float | None = None, parented_traces: float | None = None, debug_traces: float | None = None
) -> None:
    """Set percentages, 0 to 100; None leaves one as it is."""
    global new, parented, debug
    new = new if new_traces is None else new_traces
    parented = parented if parented_traces is None else parented_traces
    debug = debug if debug_traces is None else debug_traces
    for function in _told:
        function()


def on_change(function: Callable[[], object]) -> None:
    """Have *function* called whenever they were set."""
    _told.append(function)
