"""A network that takes what a protocol of HTTP has to say."""

from runtime.http.protocol.conversation import Conversation


def taken(http: Conversation) -> bytes:
    """All of the output that there is now."""
    pieces = []
    while http.output:
        piece = b"".join(http.output)
        http.output.clear()
        http.sent(len(piece))
        pieces.append(piece)
    return b"".join(pieces)
