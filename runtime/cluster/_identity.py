"""Who this process is in its clusters: an id that outlives it, and the time of its boot.  Manual:
``mtev_cluster_get_self``."""

import random
import threading
import time
from uuid import UUID, uuid4

from runtime.conf import Conf

from ._spec import parse_id

_lock = threading.Lock()
_boot_time = 0


def boot_time() -> int:
    """When this process booted, as its clusters are told: microseconds of the epoch.  Manual:
    ``mtev_cluster_get_my_boot_time``."""
    global _boot_time
    if not _boot_time:
        with _lock:
            _boot_time = _boot_time or int(time.time() * 1e6)
    return _boot_time


def reboot() -> int:
    """Draw a boot time that is later by less than a second, since somebody else has the same."""
    global _boot_time
    before = boot_time()
    with _lock:
        if _boot_time == before:
            _boot_time += random.randrange(1, 1_000_000)
        return _boot_time


def read_self(configuration: Conf) -> UUID:
    """The id of :func:`given`; one is made and put there where there is none.  Complains likewise."""
    me = given(configuration)
    if me is None:
        me = uuid4()
        write_self(configuration, me)
    return me


def given(configuration: Conf) -> UUID | None:
    """The id that ``<clusters my_id="…">`` gives, None for none.

    Complains (:meth:`runtime.conf.Conf.complain`) of one that is no UUID."""
    section = configuration.get_section("//clusters")
    assert section is not None
    text = configuration.get_string("@my_id", section)
    if not text:
        return None
    try:
        return parse_id(text)
    except ValueError as bad:
        configuration.complain(configuration.error(f"<clusters> my_id: {bad}", section))
        return None


def write_self(configuration: Conf, me: UUID) -> None:
    """Have the configuration say that this process is *me*.  Manual: ``mtev_cluster_set_self``."""
    configuration.set_string("//clusters/@my_id", str(me))
