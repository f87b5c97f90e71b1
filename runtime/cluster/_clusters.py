"""The clusters of this process: made from the configuration, updated while it runs, found by name.

Manual: ``mtev_cluster_init``, ``mtev_cluster_update``, ``mtev_cluster_by_name``.
"""

import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from uuid import UUID

from runtime import eventer, hooks, stats
from runtime.conf import Conf, ConfError, Section, current_or_none

from . import _identity, _spec
from ._members import CHANGED_PAYLOAD, CHANGED_SEQ, DIED, REBOOTED, Cluster, Node, Update
from ._post import Post, debug, error

NODE_UPDATE = hooks.declare("mtev_cluster_handle_node_update")
"""``callback(flags, cluster, node, old_boot_time)``: a node rebooted, changed its configuration's sequence or its
payloads, or died; *flags* says which, *old_boot_time* is in microseconds of the epoch, 0 for a node that was dead.
Called on the loop."""

UpdateCallback = Callable[[Cluster, Node, int, int], object]

_lock = threading.RLock()
_me: UUID | None = None
_posts: dict[str, Post] = {}
_callbacks: dict[str, UpdateCallback] = {}
_running = False


def init(configuration: Conf) -> None:
    """Bind the clusters of *configuration*; nothing is sent yet.

    One without name, key, seq or port is left out, with a line in ``error/cluster``.  Raises :exc:`ConfError`, with
    file and line, for one that is wrong in another way, that could be mistaken for another, or whose port cannot be
    bound. Manual: ``mtev_cluster_init``."""
    global _me
    with _lock:
        _me = _identity.read_self(configuration)
        for section in _sections(configuration):
            _add(configuration, section)


def enabled() -> bool:
    """Whether this process can have clusters: whether its configuration has ``<clusters>``.  Manual:
    ``mtev_cluster_enabled``."""
    return _me is not None


def start() -> None:
    """Begin to send and to listen; the loops run."""
    global _running
    with _lock:
        _running = True
        for each in _posts.values():
            each.start()


def stop() -> None:
    """Leave all clusters."""
    global _running, _me
    with _lock:
        for each in _posts.values():
            each.close()
        _posts.clear()
        _callbacks.clear()
        _running, _me = False, None


def reload(configuration: Conf) -> None:
    """Take what *configuration* says now, where sequences are higher, and clusters that are new.

    Raises :exc:`ConfError` as :func:`init`; what came before the faulty one holds."""
    for section in _sections(configuration):
        if _spec.missing(configuration, section) is None:
            _take(configuration, section)


def update(section: Section, configuration: Conf | None = None) -> int:
    """Take the cluster that *section*, an element ``<cluster>`` anywhere, describes into the process and into
    *configuration*, else the current one, which counts as changed then.

    Returns 0 when it is new, 1 when it was updated, -1 when its sequence is no higher than what is there.
    Raises :exc:`ConfError`, and changes nothing, for one that cannot be used.  Manual: ``mtev_cluster_update``."""
    whole = configuration or current_or_none()
    if whole is None or _me is None:
        raise ConfError("there are no clusters here")
    found = _take(whole, section)
    if found >= 0:
        _write(whole, section)
    return found


def check(configuration: Conf) -> None:
    """Look for what is wrong with the clusters that *configuration* declares; nothing is bound.

    Complains (:meth:`runtime.conf.Conf.complain`)."""
    me = _identity.given(configuration)
    found: list[_spec.Spec] = []
    for section in _sections(configuration):
        lacking = _spec.missing(configuration, section)
        if lacking is not None:
            configuration.complain(configuration.error(f"<cluster> has no {lacking} and is left out", section))
            continue
        try:
            spec = _spec.read(configuration, section)
            _spec.check_apart(spec, found, me or UUID(int=0))
            found.append(spec)
        except ConfError as mistake:
            what = mistake if mistake.line else configuration.error(mistake.message, section)
            configuration.complain(what)


def by_name(name: str) -> Cluster | None:
    """The cluster *name*, or None.  Manual: ``mtev_cluster_by_name``."""
    post = _posts.get(name)
    return None if post is None else post.cluster


def clusters() -> list[Cluster]:
    """All of them, in the order in which they came."""
    with _lock:
        return [each.cluster for each in _posts.values()]


def get_self() -> UUID | None:
    """The id of this process, None without clusters.  Manual: ``mtev_cluster_get_self``."""
    return _me


def set_self(me: UUID) -> None:
    """Have this process be *me*, also in its configuration.  Manual: ``mtev_cluster_set_self``."""
    global _me
    with _lock:
        _me = me
        for each in _posts.values():
            each.cluster.me = me
        configuration = current_or_none()
        if configuration is not None:
            _identity.write_self(configuration, me)


def set_node_update_callback(cluster: Cluster, callback: UpdateCallback) -> None:
    """Have ``callback(cluster, node, flags, old_boot_time)`` called for each node update of *cluster*, before the
    hook.

    Manual: ``mtev_cluster_set_node_update_callback``."""
    _callbacks[cluster.name] = callback


def _sections(configuration: Conf) -> list[Section]:
    return configuration.get_sections("//clusters//cluster")


def _add(configuration: Conf, section: Section) -> None:
    lacking = _spec.missing(configuration, section)
    if lacking is not None:
        error.log(f"{configuration.error(f'<cluster> has no {lacking} and is left out', section)}\n")
        return
    name = configuration.get_string("@name", section) or ""
    if name in _posts:
        raise configuration.error(f"there is a cluster '{name}' already", section)
    _take(configuration, section)


def _take(configuration: Conf, section: Section) -> int:
    """Insert (0), update (1), or leave as it is (-1)."""
    with _lock:
        spec = _spec.read(configuration, section)
        assert _me is not None
        post = _posts.get(spec.name)
        if post is not None and spec.seq <= post.cluster.seq:
            return -1
        try:
            _spec.check_apart(spec, [each.cluster.spec for each in _posts.values()], _me)
            if post is None:
                opened = Post(Cluster(spec, _me, _identity.boot_time, _identity.reboot), _tell)
            else:
                post.move(spec)
        except ConfError as mistaken:
            raise configuration.error(str(mistaken), section) from None
        except OSError as failure:
            message = f"cluster '{spec.name}' cannot listen on port {spec.port}: {failure.strerror}"
            raise configuration.error(message, section) from None
        if post is not None:
            post.cluster.update(spec)
            return 1
        _posts[spec.name] = opened
        if _running:
            opened.start()
        return 0


def _write(configuration: Conf, section: Section) -> None:
    """Have *configuration* say what *section* says."""
    if section.getroottree().getroot() is configuration.root:
        return
    name = section.get("name")
    with configuration.lock:
        fresh = deepcopy(section)
        fresh.tail = None
        before = next((each for each in _sections(configuration) if each.get("name") == name), None)
        if before is None:
            parent = configuration.get_section("//clusters")
            assert parent is not None
            parent.append(fresh)
        else:
            parent = before.getparent()
            assert parent is not None
            fresh.tail = before.tail
            parent.replace(before, fresh)
        configuration.mark_changed(parent)


def _tell(cluster: Cluster, update: Update) -> None:
    node, flags, before = update
    if debug.enabled:
        debug.log(f"cluster '{cluster.name}': node {node.cn} ({node.id}) {_described(flags)}\n")
    guarded = eventer.current().guarded  # what they raise keeps nobody from hearing of this member
    callback = _callbacks.get(cluster.name)
    if callback is not None:
        guarded(callback, cluster, node, flags, before)
    guarded(NODE_UPDATE.invoke, flags, cluster, node, before)


def _described(flags: int) -> str:
    words = {
        REBOOTED: "rebooted",
        CHANGED_SEQ: "has another configuration",
        CHANGED_PAYLOAD: "has other payloads",
        DIED: "died",
    }
    return ", ".join(word for bit, word in words.items() if flags & bit)


def _readings() -> Iterator[stats.Reading]:
    for cluster in clusters():
        tags = (("cluster", cluster.name),)
        yield stats.Reading("cluster.nodes", tags, cluster.size, is_level=True)
        alive = sum(not each.dead for each in cluster.nodes())
        yield stats.Reading("cluster.alive", tags, alive, is_level=True)
        yield stats.Reading("cluster.sent", tags, cluster.sent)
        yield stats.Reading("cluster.received", tags, cluster.received)
        for reason, count in sorted(cluster.refused.items()):
            yield stats.Reading("cluster.refused", (("cluster", cluster.name), ("reason", reason)), count)


stats.source(_readings)
