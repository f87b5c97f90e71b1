"""Trace points: named places in the stack that tell what happens there to whoever listens.  Manual: DTrace.

Python subscribes with :func:`subscribe`; Lua by ``mtev.trace``; a tracer outside the process sees them as USDT probes
once :func:`expose` was called.  While nobody listens a point costs one test of its cell.
"""

from ._points import ORDER, POINTS, Call, Point, address, call, point, points, report_to, subscribe

__all__ = ["ORDER", "POINTS", "Call", "Point", "address", "call", "expose", "point", "points", "report_to", "subscribe"]


def expose() -> bool:
    """Let tracers outside the process see the points as USDT probes of provider ``libmtev``; whether they do now.

    For Linux on x86-64 and AArch64; elsewhere, and where the process may not load what it has written, nothing happens.
    Nothing does either once Lua has asked for :func:`address`.  Children that are forked later are seen too."""
    from ._usdt import expose as expose_now  # few programs but servers

    return expose_now()
