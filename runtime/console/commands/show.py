"""``show``: what a running system is, and does.  Manual: Console, show."""

import platform
import struct
import time
from collections.abc import Callable
from typing import Any

from lxml import etree

from runtime import conf, eventer, log
from runtime.console._console import Console
from runtime.console._grammar import Registry

from . import configure
from . import log as logs

LINES = 23
CONF_USAGE = "show conf [-x] <xpath expression>\n"


def install(registry: Registry) -> None:
    """Enter them."""
    registry.add("show version", version, about="what runs here")
    registry.add(
        "show conf", configuration, complete=configure.paths, about="show conf [-x] XPATH: what matches, with -x as XML"
    )
    registry.add("show log", log_lines, complete=logs.names, about=f"show log NAME [{LINES}]: the last of a memory log")
    registry.add("show rest", rest, about="what is mounted")
    registry.add("show memory jemalloc", jemalloc, about="show memory jemalloc [OPTIONS]: statistics of the allocator")
    registry.add("show mtev debug coreclocks", coreclocks, about="clocks of the processors")
    registry.add("show eventer debug timers", timers, about="all timers, the next first")
    registry.add("show eventer debug sockets", sockets, about="all descriptors on the loops")
    registry.add("show eventer debug jobq", jobq, complete=_queues, about="show eventer debug jobq [QUEUE]")
    registry.add("show eventer debug memory", memory, about="how many events there are")


def version(console: Console, _words: list[str]) -> None:
    """``show version``."""
    from runtime import ops  # with all of HTTP: for those who ask

    found = ops.capabilities()
    uname = platform.uname()
    names = ("sysname", "nodename", "release", "version", "machine")
    values = (uname.system, uname.node, uname.release, uname.version, uname.machine)
    text = ""
    for which in ("build", "run"):
        text += "".join(f"{which} {name}:\t{value}\n" for name, value in zip(names, values, strict=True))
    text += f"bitwidth:\t{struct.calcsize('P') * 8}bit\nversion:\t{found['version']}\n"
    for name, value in found["features"].items():
        if name.startswith("http_"):
            text += f"feature:\t{name}:{value}\n" if value else f"feature:\t{name}\n"
    console.print(text)


def configuration(console: Console, words: list[str]) -> None:
    """``show conf [-x] XPATH``."""
    as_xml = len(words) > 1 and words[0] == "-x"
    path = " ".join(words[1:] if as_xml else words)
    if not path:
        console.print(CONF_USAGE)
        return
    text = f"Looking for '{path}'\n"
    root = conf.masked(conf.current())
    try:
        found = root.xpath(path, namespaces={k: v for k, v in root.nsmap.items() if k} or None)
    except etree.XPathError:
        found = []
    rows = [_node(root.getroottree(), each, as_xml) for each in found] if isinstance(found, list) else []
    shown = [each for each in rows if each is not None]
    if not shown:
        text += "no elements found\n"
    for number, (where, what) in enumerate(shown, 1):
        text += f"== {number}: {where} ==\n{what}\n"
    console.print(text)


def _node(tree: Any, node: Any, as_xml: bool) -> tuple[str, str] | None:
    if isinstance(node, etree._Element):
        where = tree.getpath(node)
        if as_xml:
            parser = etree.XMLParser(remove_blank_text=True)
            copy = etree.fromstring(etree.tostring(node, with_tail=False), parser)
            return where, '<?xml version="1.0"?>\n' + etree.tostring(copy, pretty_print=True).decode().rstrip("\n")
        return where, "".join(map(str, node.itertext()))
    owner = node.getparent() if hasattr(node, "getparent") else None
    if owner is None:
        return None
    where = tree.getpath(owner)
    return (f"{where}/@{node.attrname}" if node.is_attribute else f"{where}/text()"), str(node)


def log_lines(console: Console, words: list[str]) -> None:
    """``show log NAME [N]``: the last N lines of a memory log; 0 for all."""
    if not words:
        return
    stream = logs.find(words[0])
    if stream is None:
        console.print("No such log.\n")
        return
    if not isinstance(stream.ctx, log.Memory):
        console.print(f"No memory log '{words[0]}'\n")
        return
    count = LINES
    if len(words) > 1:
        if not words[1].isdecimal():
            console.print(f"'{words[1]}' is no number of lines\n")
            return
        count = int(words[1])
    entries = stream.ctx.entries(None, count or None)
    console.print("".join(f"[{index}] {_line(line)}" for index, _when, line in entries))


def _line(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if text.endswith("\n") else text + "\n"


def rest(console: Console, _words: list[str]) -> None:
    """``show rest``."""
    from runtime import http

    console.print("".join(_rule(each) for each in http.router.mountpoints))


def _rule(rule: Any) -> str:
    shown = [each.decode("utf-8", "replace") for each in (rule.method, rule.base, rule.expression)]
    handler, auth = (f"{each.__module__}.{each.__qualname__}" for each in map(_plain, (rule.handler, rule.auth)))
    return f"{shown[0]} [{shown[1]}] {shown[2]}\n\tHANDLER: {handler}\n\tAUTH: {auth}\n"


def _plain(function: Any) -> Any:
    return function if hasattr(function, "__qualname__") else type(function)


def jemalloc(console: Console, words: list[str]) -> None:
    """``show memory jemalloc [OPTIONS]``."""
    from runtime import ops

    options = "".join(words)
    text = ops.allocator_statistics(options)
    console.print("jemalloc not loaded.\n" if text is None else f"{text}opts: {options}\n")


def coreclocks(console: Console, words: list[str]) -> None:
    """``show mtev debug coreclocks [full]``: nothing here counts ticks, so the figures are 0."""
    import os

    text = "   CPU  |  ticks/ns |             skew |       fast calls |      desyncs |\n"
    text += "--------+-----------+------------------+------------------+--------------+\n"
    if words == ["full"]:
        for number in range(os.cpu_count() or 1):
            text += f"{number:7} | 0.0000000 |              0ns |                0 |            0 |\n"
    console.print(text)


def timers(console: Console, _words: list[str]) -> None:
    """``show eventer debug timers``."""

    def show(rows: list[eventer.Row]) -> None:
        now = time.time()
        console.print("".join(_event(each, f"fires: {each['whence'] / 1000 - now:f}s") for each in rows))

    eventer.timers(console.later(show))


def sockets(console: Console, _words: list[str]) -> None:
    """``show eventer debug sockets``."""
    eventer.sockets(
        console.later(lambda rows: console.print("".join(_event(each, f"fd: {each['fd']}") for each in rows)))
    )


_MASK = ((eventer.READ, "r"), (eventer.WRITE, "w"), (eventer.EXCEPTION, "e"), (eventer.TIMER, "t"))


def _event(row: eventer.Row, what: str) -> str:
    mask = row.get("mask", eventer.TIMER)
    letters = "".join(letter if mask & bit else "-" for bit, letter in _MASK)
    where = f"t@{row['eventer_pool']}:{row.thread.ident:x}"
    return f"  [{row.event}] {what} {where} [{letters}] -> {row['callback']}({row.closure})\n"


def jobq(console: Console, words: list[str]) -> None:
    """``show eventer debug jobq [QUEUE]``."""
    found = eventer.jobq_figures()
    kinds = {each.name: (each.safety, "LIFO" if each.lifo else "FIFO") for each in eventer.jobqs()}
    if words:
        if words[0] not in found:
            console.print(f"no jobq found for '{words[0]}'\n")
            return
        found = {words[0]: found[words[0]]}
    text = ""
    for name in sorted(found, key=lambda each: each in kinds):
        figures = found[name]
        safety, mode = kinds.get(name, ("gc", "FIFO"))
        text += (
            f"=== {name} ===\n safety: {safety}\n"
            f" concurrency: {figures['concurrency']}/{figures['desired_concurrency']}\n mode: {mode}\n"
            f" min/max: {figures['min_concurrency']}/{figures['max_concurrency']}\n"
            f" total jobs: {figures['total_jobs']}\n backlog: {figures['backlog']}\n"
            f" inflight: {figures['inflight']}\n timeouts: {figures['timeouts']}\n"
            f" avg_wait_ms: {figures['avg_wait_ms']:f}\n avg_run_ms: {figures['avg_run_ms']:f}\n"
        )
    console.print(text)


def memory(console: Console, _words: list[str]) -> None:
    """``show eventer debug memory``."""
    show: Callable[[Any], object] = console.later(
        lambda outcome: console.print(
            f"current eventer_t allocations: {outcome.value['current']}\n"
            f"total eventer_t allocations: {outcome.value['total']}\n"
        )
    )
    eventer.simple_asynch(eventer.allocations, back=show)


def _queues(_console: Console, words: list[str]) -> list[str]:
    return list(eventer.jobq_figures()) if len(words) == 1 else []
