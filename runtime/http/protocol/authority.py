"""What may stand for the host in a request.  RFC 3986, section 3.2; RFC 9110, 4.2.4 wants user names refused."""

import re

from runtime.http.message.known import Known

_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_good: Known[bytes, None] = Known()


def is_authority(text: bytes) -> bool:
    """Whether *text* is a name or an address, and maybe a port."""
    if text not in _good:
        if _AUTHORITY.fullmatch(text) is None:
            return False
        _good.keep(text, None, len(text))
    return True
