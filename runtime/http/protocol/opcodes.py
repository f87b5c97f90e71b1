"""The opcodes of WebSocket, for those that need not know its library.  RFC 6455, section 11.8."""

TEXT, BINARY, PING, PONG = 1, 2, 9, 10
"""Opcodes of messages and of control frames."""
