"""A flow regulator: work is let in until *high* items are under way, and again when *low* are left.  Manual:
mtev_flow_regulator_create, mtev_flow_regulator_ack.

A change is told to one caller, who says when he has acted upon it: :meth:`FlowRegulator.ack`."""

import enum
import threading


class Toggle(enum.Enum):
    """What to do, the result of each call.  Manual: mtev_flow_regulator_toggle_t."""

    DISABLED = "disabled"
    """The flow is off: nothing to do, and no room for the item."""
    DISABLE = "disable"
    """The flow goes off: stop making work, then acknowledge."""
    KEEP = "keep"
    """Nothing to do."""
    ENABLE = "enable"
    """The flow goes on: make work again, then acknowledge."""


_SETTLED = {Toggle.KEEP, Toggle.DISABLED}


class FlowRegulator:
    """Any thread may call."""

    def __init__(self, low: int, high: int) -> None:
        """Raises ValueError unless 0 <= *low* < *high*."""
        if not 0 <= low < high:
            raise ValueError(f"a flow regulator goes on at fewer items than it goes off at: low {low}, high {high}")
        self._low, self._high = low, high
        self._lock = threading.Lock()
        self._under_way = 0
        self._enabled = True
        self._changing = False  # somebody has been told and has not acknowledged yet

    @property
    def under_way(self) -> int:
        """Items let in and not yet done."""
        return self._under_way

    def raise_one(self) -> Toggle:
        """Reserve room for an item: there is some only where KEEP comes back.  Manual:
        mtev_flow_regulator_raise_one."""
        with self._lock:
            if self._enabled and self._under_way < self._high:
                self._under_way += 1
                return Toggle.KEEP
            return self._disable()

    def lower(self, by: int = 1) -> Toggle:
        """*by* items are done.  Raises ValueError for more than are under way.  Manual: mtev_flow_regulator_lower."""
        with self._lock:
            if not 0 <= by <= self._under_way:
                raise ValueError(f"{by} items cannot be done of {self._under_way} under way")
            self._under_way -= by
            return self._enable()

    def ack(self, toggle: Toggle) -> Toggle:
        """The result of an earlier call is acted upon.  What comes back is to be acknowledged in turn, until it is
        KEEP or DISABLED.  Manual: mtev_flow_regulator_ack."""
        if toggle in _SETTLED:
            return toggle
        with self._lock:
            self._changing = False
            if toggle is Toggle.DISABLE:
                again = self._enable()
                return Toggle.DISABLED if again is Toggle.KEEP else again
            if self._under_way >= self._high:
                return self._disable()
            return Toggle.KEEP

    def stable_try_raise_one(self) -> bool:
        """Whether there was room for an item, with all acknowledgements made.  Manual:
        mtev_flow_regulator_stable_try_raise_one."""
        toggle = self.raise_one()
        while toggle is not Toggle.KEEP:
            if toggle is Toggle.DISABLED:
                return False
            toggle = self.ack(toggle)
            if toggle is Toggle.KEEP:  # it came on again meanwhile
                toggle = self.raise_one()
        return True

    def stable_lower(self, by: int = 1) -> bool:
        """*by* items are done; whether the caller has to make work again, with all acknowledgements made.  Manual:
        mtev_flow_regulator_stable_lower."""
        toggle, enabled = self.lower(by), False
        while toggle not in _SETTLED:
            enabled = toggle is Toggle.ENABLE
            toggle = self.ack(toggle)
        return enabled and toggle is Toggle.KEEP

    def _disable(self) -> Toggle:
        if not self._enabled or self._changing:
            return Toggle.DISABLED
        self._enabled, self._changing = False, True
        return Toggle.DISABLE

    def _enable(self) -> Toggle:
        if self._enabled or self._changing or self._under_way > self._low:
            return Toggle.KEEP
        self._enabled = self._changing = True
        return Toggle.ENABLE
