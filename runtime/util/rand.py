"""Random numbers.  Manual: mtev_rand.

The system always has enough of them: what C calls trysecure is secure, and nothing fails."""

import random
import secrets
from typing import Final

_BITS: Final = 64


def rand() -> int:
    """A pseudo-random number, 0 to 2**64 - 1.  Manual: mtev_rand."""
    return random.getrandbits(_BITS)


def rand_buf(size: int) -> bytes:
    """Manual: mtev_rand_buf."""
    return random.randbytes(size)


def rand_secure() -> int:
    """Manual: mtev_rand_secure, mtev_rand_trysecure."""
    return secrets.randbits(_BITS)


def rand_buf_secure(size: int) -> bytes:
    """Manual: mtev_rand_buf_secure, mtev_rand_buf_trysecure."""
    return secrets.token_bytes(size)
