"""What the families of ``mtev.*`` may ask of the Lua state that they are for."""

from collections.abc import Callable
from typing import Any, Protocol

from runtime.eventer import LoopThread


class Pending(Protocol):
    """Work under way for a coroutine that waits on a ticket."""

    def cancel(self) -> object:
        """Nobody waits any longer."""


class Kin(Protocol):
    """The states of one module."""

    def on(self, thread: LoopThread) -> "Port | None":
        """The one of *thread*, if there is one.  From any thread."""

    def spread(self) -> None:
        """Have one on each loop thread."""


class Port(Protocol):
    """A Lua state, to those who serve it.  All of it is for the state's thread, but for :meth:`ticket_done`."""

    @property
    def name(self) -> str:
        """The module that has the state; empty for a program of its own."""

    @property
    def thread(self) -> LoopThread:
        """The loop thread that it runs on."""

    @property
    def kin(self) -> Kin | None:
        """Those of the same module on other threads; None for a state whose module makes as many as it wants itself."""

    @property
    def busy(self) -> bool:
        """Whether Lua is running."""

    @property
    def tickets(self) -> dict[int, Pending]:
        """Work under way, by the tickets that coroutines wait on; whoever begins some enters it here."""

    @property
    def observer(self) -> int:
        """The address of the coroutine that tells the stacks of the others."""

    def on_close(self, function: Callable[[], object]) -> None:
        """Have *function* called when the state closes, before those that were given earlier."""

    def on_end(self, function: Callable[[], object]) -> None:
        """Have *function* called when the process ends at once, but not if it was told to leave all as it is: after an
        error that nobody caught, and where Lua wants its states closed.  From any thread; it must not wait."""

    def can_enter(self) -> bool:
        """Whether Lua may be entered here and now.  From any thread."""

    def enter(self, entry: str, *args: Any) -> tuple[Any, ...] | None:
        """Call an entry of the state's; what it returns, None when it failed or the state is closed."""

    def offers(self, entry: str) -> bool:
        """Whether the state has an entry of that name."""

    def plain(self, value: Any) -> Any:
        """*value* as it may cross into Lua.  Raises TypeError when it may not."""

    def inspect(self, *question: bytes) -> Any:
        """What the state says of itself."""

    def about(self, handle: str) -> str:
        """What is known of the request with that number: " of " its client, or nothing."""

    def ticket_done(self, ticket: int, *values: bytes | float | bool | None) -> None:
        """The work behind *ticket* is done: its coroutine resumes with *values*.  From any thread."""

    def exit_process(self, status: int, closing: bool) -> None:
        """End the process with *status* once everything logged is written; *closing*: not leaving all as it is."""


class Library(Protocol):
    """A library of Lua beside ``mtev.*`` that a state may have: its functions join the state's entries."""

    @property
    def name(self) -> str:
        """Its name among the Lua sources."""

    def functions(self, state: Port) -> dict[str, Callable[..., Any]]:
        """What it builds on, once for a state."""

    def about(self, handle: str) -> str:
        """See :meth:`Port.about`."""
