"""Where a request is served: a loop thread, as far as messages and protocols have to do with one."""

from collections.abc import Callable
from typing import Any, Protocol


class Owner(Protocol):
    """What a request's loop thread can be asked."""

    def is_on_hub(self) -> bool:
        """Whether the caller runs on it, and in no greenlet of its own."""

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Have ``function(*args)`` run at its next turn; on this thread."""

    def post(self, function: Callable[..., object], *args: Any) -> bool:
        """Have ``function(*args)`` run on it, from any thread; False when it has stopped."""

    def on_stop(self, function: Callable[[], object]) -> None:
        """Have *function* called when it stops."""
