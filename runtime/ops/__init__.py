"""Operations endpoints: what a running system says of itself over HTTP.  Manual: Operations; Listeners, REST.

All of them are behind access control.
"""

from ._answer import answer
from ._capa import capabilities
from ._metrics import Family, family_source
from ._mount import mount, profiles
from ._process import allocator_statistics
from ._profile import send_profile
from ._profile import wanted as wanted_profile

__all__ = [
    "Family",
    "allocator_statistics",
    "answer",
    "capabilities",
    "family_source",
    "mount",
    "profiles",
    "send_profile",
    "wanted_profile",
]
