"""What goes wrong in the eventer."""


class EventerError(Exception):
    """A call the eventer cannot carry out; the message names the event, pool or setting."""


class NotOnLoop(EventerError):
    """The call belongs on a loop thread and was made elsewhere."""
