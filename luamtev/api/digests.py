"""Hashes as Lua sees them: bytes in, bytes out.  Manual: mtev.md5, mtev.sha1, mtev.sha256, mtev.hmac_*."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.port import Port

NAMES = ("md5", "sha1", "sha256")


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/digests.lua`` builds on."""
    made: dict[str, Callable[..., Any]] = {"hmac": hmac_digest}
    for name in NAMES:
        made[name] = _digest(name)
        made[f"{name}_hex"] = _hexdigest(name)
    return made


def hmac_digest(algorithm: bytes, message: bytes, key: bytes) -> bytes:
    """The MAC of *message* under *key*."""
    made: bytes = import_module("hmac").digest(key, message, algorithm.decode())
    return made


def _digest(name: str) -> Callable[[bytes], bytes]:
    new: Any = None

    def digest(data: bytes) -> bytes:
        nonlocal new
        if new is None:  # hashlib loads OpenSSL: 10 ms that most programs need not wait for
            new = getattr(import_module("hashlib"), name)
        made: bytes = new(data).digest()
        return made

    return digest


def _hexdigest(name: str) -> Callable[[bytes], bytes]:
    new: Any = None

    def hexdigest(data: bytes) -> bytes:
        nonlocal new
        if new is None:
            new = getattr(import_module("hashlib"), name)
        made: str = new(data).hexdigest()
        return made.encode()

    return hexdigest
