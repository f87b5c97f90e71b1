"""``/eventer/…``: what is on the loops and in the job queues."""

from runtime import eventer
from runtime.http import Request, Response

from ._answer import answer


def sockets(_request: Request, response: Response) -> None:
    """``GET /eventer/sockets.json``: every descriptor that an event waits for."""
    eventer.sockets(lambda rows: answer(response, rows))


def timers(_request: Request, response: Response) -> None:
    """``GET /eventer/timers.json``: every timer, the earliest first."""
    eventer.timers(lambda rows: answer(response, rows))


def jobq(_request: Request, response: Response) -> None:
    """``GET /eventer/jobq.json``: every job queue with its figures."""
    answer(response, eventer.jobq_figures())


def memory(_request: Request, response: Response) -> None:
    """``GET /eventer/memory.json``: how many events there are."""
    eventer.simple_asynch(
        eventer.allocations,
        back=lambda outcome: answer(response, {"eventer_t": outcome.value}),
    )
