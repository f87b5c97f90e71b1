"""Where lines go from a stream: along every path of enabled streams to every stream that writes.

Those ways are worked out when the graph or a flag changes, for the stream changed and all that lead to it; logging
itself only walks flat tuples.  Each way delivers: a stream reached along two paths writes the line twice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ._base import DEBUG, ENABLED
from ._filter import Filter
from ._types import LogType

if TYPE_CHECKING:
    from ._output import Output
    from ._stream import LogStream

# How a line gets out, the usual way: a plain line through a function, with the flags of every stream on the way; the
# type, if the function is that's own.
_Plain = tuple[Callable[[int, bytes], None], int, LogType | None]
# Any other way: the output that writes, those flags, and the filters on the way.
_Other = tuple["Output", int, tuple[Filter, ...]]
# A stream that counts the lines which pass the filters on the way to it.
_Counted = tuple["LogStream", tuple[Filter, ...]]


class Route:
    """The ways of what is logged to one stream."""

    __slots__ = ("counted", "other", "plain", "wants_place")

    def __init__(self, plain: tuple[_Plain, ...], other: tuple[_Other, ...], counted: tuple[_Counted, ...]) -> None:
        self.plain = plain
        self.other = other
        self.counted = counted if plain or other else ()
        self.wants_place = bool(other) or any(flags & DEBUG for _, flags, _ in plain)

    @property
    def writes(self) -> bool:
        """Whether anything is written."""
        return bool(self.plain or self.other)

    @property
    def is_bare(self) -> bool:
        """Whether lines go to one place, just as they are."""
        return len(self.plain) == 1 and not (self.plain[0][1] or self.other or self.counted)

    @property
    def direct(self) -> int:
        """The descriptor to which all that is logged may be written by one system call; -1 for none."""
        only = self.plain[0][2] if self.is_bare else None
        return -1 if only is None else only.direct()


NOWHERE: Final = Route((), (), ())


def work_out(stream: "LogStream") -> Route:
    """The ways from *stream*, those of its outlets being known."""
    counted: list[_Counted] = [(stream, ())] if stream.stats else []
    if not stream.flags & ENABLED:
        return NOWHERE
    own = stream.flags & ~ENABLED
    usual: list[_Plain] = []
    other: list[_Other] = []
    if stream.output.is_plain:
        usual.append((stream.output.write, own, stream.output.unqueued))
    elif stream.output.ctx is not None:
        other.append((stream.output, own, ()))
    for outlet, passes in stream.filtered_outlets():
        route = outlet.route
        more = () if passes is None else (passes,)
        counted += [(each, (*more, *filters)) for each, filters in route.counted]
        if passes is None:
            usual += [(write, flags | own, type_) for write, flags, type_ in route.plain]
            other += [(output, flags | own, filters) for output, flags, filters in route.other]
        elif route.writes:
            other += [(output, flags | own, (passes, *filters)) for output, flags, filters in _behind_filter(outlet)]
    return Route(tuple(usual), tuple(other), tuple(counted))


def _behind_filter(stream: "LogStream") -> list[_Other]:
    """All ways out of *stream* as they are behind a filter."""
    found: list[_Other] = []
    if stream.flags & ENABLED:
        own = stream.flags & ~ENABLED
        if stream.output.ctx is not None:
            found.append((stream.output, own, ()))
        for outlet, passes in stream.filtered_outlets():
            more = () if passes is None else (passes,)
            found += [(output, flags | own, (*more, *filters)) for output, flags, filters in _behind_filter(outlet)]
    return found


def upwards(stream: "LogStream") -> list["LogStream"]:
    """*stream* and all that lead to it, each after all of its outlets that are among them."""
    done: list[LogStream] = []
    seen = {stream}
    stack = [(stream, iter(stream.inlets))]
    while stack:
        top, inlets = stack[-1]
        for inlet in inlets:
            if inlet not in seen:
                seen.add(inlet)
                stack.append((inlet, iter(inlet.inlets)))
                break
        else:
            done.append(top)
            stack.pop()
    done.reverse()
    return done


def path(start: "LogStream", end: "LogStream") -> list["LogStream"]:
    """The streams from *start* along outlets to *end*, both included; empty when no way leads there."""
    came_from: dict[LogStream, LogStream | None] = {start: None}
    stack = [start]
    while stack:
        top = stack.pop()
        if top is end:
            found = []
            step: LogStream | None = top
            while step is not None:
                found.append(step)
                step = came_from[step]
            return found[::-1]
        for outlet in top.outlets:
            if outlet not in came_from:
                came_from[outlet] = top
                stack.append(outlet)
    return []
