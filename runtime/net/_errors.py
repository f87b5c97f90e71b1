"""What goes wrong with listeners and connections."""


class NetError(Exception):
    """A listener that cannot be opened or started; the message names its address and what was expected."""
