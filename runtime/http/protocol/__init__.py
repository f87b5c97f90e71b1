"""HTTP/1, HTTP/2 and WebSocket without I/O: bytes in, calls of the handler, bytes out."""
