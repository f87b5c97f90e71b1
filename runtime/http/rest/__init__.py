"""Who serves a method and a path, and who may ask: mounts, access control, files, the way to WebSocket."""
