"""The end of a test that served: the loops, the listeners, and what was mounted."""

from runtime import eventer, http, net


def close_house() -> None:
    """Stop the loops, accept no more, and forget the configuration and the mountpoints."""
    eventer.stop()
    net.stop_accepting()
    forget()


def forget() -> None:
    """Nobody is allowed, and nothing mounted."""
    http.configure(None)
    for each in http.router.mountpoints:
        http.unmount(each)
