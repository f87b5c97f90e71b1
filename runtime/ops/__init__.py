"""Operations endpoints: what a running system says of itself over HTTP.  Manual: Operations; Listeners, REST.

All of them are behind access control.
"""

from ._capa import capabilities
from ._mount import mount
from ._process import allocator_statistics

__all__ = ["allocator_statistics", "capabilities", "mount"]
