"""``configure`` and ``write``: the configuration, walked, changed, read again, written.  Manual: Console, configure."""

from collections.abc import Callable
from typing import Any

from lxml import etree

from runtime import conf, eventer
from runtime.conf import Conf, ConfError, Section
from runtime.console._console import Console
from runtime.console._grammar import Command, Level, Registry, furnish
from runtime.reload import Report
from runtime.reload import reload as read_again

from .general import leave

SET_USAGE = "config set <param> <value>\n"
LONGEST = 60
"""Characters of a path in a prompt."""

_terminal = Level(name="terminal")

COMPLETED = 200
"""Elements that completion looks at, at most."""

_parameters: dict[str, tuple[Callable[[str], bool], str]] = {}


def install(registry: Registry) -> None:
    """Enter them."""
    write = registry.level("write")
    registry.add("write terminal", write_terminal, about="show the configuration as it would be written")
    registry.add("write file", write_file, about="write what changed in the configuration to its files")
    registry.add("write memory", write_file, about="the same as write file")
    registry.add("configure terminal", terminal, about="walk through the configuration")
    registry.add("configure set", set_, complete=lambda *_: list(_parameters), about="configure set PARAMETER VALUE")
    registry.add("configure reload", reload, about="read the configuration's files again")
    furnish(_terminal)
    _terminal.inside = _prompt
    _terminal.add(Command("ls", ls, complete=paths, about="ls [XPATH]: settings and sections"))
    _terminal.add(
        Command("cd", cd, complete=paths, about="cd XPATH: go to a section; .. is the one above, / the first")
    )
    _terminal.add(Command("section", section, about="section NAME: go to a section below, which is made if need be"))
    _terminal.add(Command("exit", leave, about="leave the configuration"))
    _terminal.add(Command("write", level=write))
    no = Level(name="no")
    furnish(no)
    no.add(Command("section", no_section, about="no section NAME: delete it"))
    _terminal.add(Command("no", level=no))


def register_parameter(name: str, take: Callable[[str], bool], path: str = "") -> None:
    """Have ``configure set NAME VALUE`` call ``take(value)``, which says whether it was taken, and set *path*, if any.

    Manual: Console, configure set."""
    _parameters[name] = (take, path)


def set_(console: Console, words: list[str]) -> None:
    """``configure set PARAMETER VALUE``."""
    if len(words) != 2:
        console.print(SET_USAGE)
        return
    name, value = words
    if name not in _parameters:
        console.print("no such parameter\n")
        return
    take, path = _parameters[name]
    if not take(value):
        console.print("error setting running config\n")
        return
    console.print("set running config\n")
    if path:
        try:
            done, why = conf.current().set_string(path, value), f"{path}: there is no section of that path"
        except ConfError as refused:
            done, why = False, str(refused)
        console.print("set on-disk config\n" if done else f"error setting on-disk config\n{why}\n")


def reload(console: Console, _words: list[str]) -> None:
    """``configure reload``: what the signal HUP does."""

    def show(outcome: eventer.Outcome) -> None:
        report: Report = outcome.result()
        if not report.applied:
            console.print("error loading config\n")
        console.print("".join(f"{line}\n" for line in report.lines))
        if report.applied:
            console.print("reload complete\n")

    eventer.simple_asynch(read_again, conf.current(), back=console.later(show))


def write_terminal(console: Console, _words: list[str]) -> None:
    """``write terminal``."""
    text = etree.tostring(conf.masked(conf.current()), encoding="unicode", with_tail=False)
    console.print(f'<?xml version="1.0" encoding="utf8" standalone="yes"?>\n{text}\n')


def write_file(console: Console, _words: list[str]) -> None:
    """``write file`` and ``write memory``."""
    current = conf.current()
    if current.file is None:
        console.print("error writing config\nthis configuration came from no file\n")
        return
    try:
        written = current.save()
    except ConfError as failure:
        console.print(f"error writing config\n{failure}\n")
        return
    for path in written:
        console.print(f"{path}: {path.stat().st_size} bytes written.\n")
    if not written:
        console.print(f"{current.file}: nothing to write.\n")


# The terminal: where in the tree a console is, is its path below the root element.


def terminal(console: Console, _words: list[str]) -> None:
    """``configure terminal``."""
    console.facts["conf"] = "/"
    console.go_into(_terminal)


def _prompt(console: Console) -> str:
    path: str = console.facts.get("conf", "/")
    if len(path) > LONGEST:
        path = "..." + path[3 - LONGEST :]
    return f"mtev(conf:{path})# "


def _xpath(current: Conf, console: Console, path: str = "") -> str:
    """The XPath that *path* is at the console's place: below it, or below the root where it begins with a slash."""
    here: str = console.facts.get("conf", "/")
    root = f"/{current.root_name}"
    if path.startswith("/"):
        return root + path.rstrip("/") if path != "/" else root
    if not path:
        return (root + here).rstrip("/")
    return f"{root}{here}/{path}"


def paths(console: Console, words: list[str]) -> list[str]:
    """What an XPath that is begun may go on with: elements below what it leads to; in the terminal from its place."""
    begun = words[-1] if words else ""
    base, slash, _ = begun.rpartition("/")
    if len(words) > 2 or not begun or any(each in begun for each in "'\"|("):
        return []
    current = conf.current()
    with current.lock:
        if console.level is _terminal:
            above = _elements(current, _xpath(current, console, base or slash))
        elif base:
            above = _elements(current, base)
        else:
            return [f"/{current.root_name}/"] if slash else []
        found: list[str] = []
        for element in above[:COMPLETED]:
            for child in list(element.iterchildren("*"))[:COMPLETED]:
                found.append(f"{base}{slash}{_name(child)}{'/' if len(child) else ''}")
    return found


def _elements(current: Conf, path: str) -> list[Section]:
    try:
        return current.get_sections(path)
    except ConfError:
        return []


def _here(current: Conf, console: Console) -> Section | None:
    """The section that *console* is in; None when it has been taken away."""
    return next(iter(_elements(current, _xpath(current, console))), None)


def _below(current: Conf, element: Section) -> str:
    """The path of *element* below the root element, ``/`` for that itself."""
    return current.tree.getpath(element).removeprefix(f"/{current.root_name}") or "/"


def ls(console: Console, words: list[str]) -> None:
    """``ls [XPATH]``."""
    current = conf.current()
    with current.lock:
        shown: Any = conf.masked(current).getroottree()
        here = _here(current, console)
        found = _elements(current, _xpath(current, console, words[0])) if words else [here]
        settings: list[str] = []
        sections: list[str] = []
        for element in found:
            if element is None:
                continue
            prefix = "" if element is here or element is current.root else _relative(current, here, element) + "/"
            if element is current.root and element is not here and words and words[0] != "/":
                prefix = "../" * (_below(current, here).count("/") if here is not None else 1)
            (twin,) = shown.xpath(current.tree.getpath(element))
            settings += [f"{prefix}@{name}: {value}" for name, value in _attributes(twin)]
            for child in twin.iterchildren("*"):
                name = prefix + _name(child)
                if len(child) or not (child.text or "").strip():
                    sections.append(name)
                else:
                    settings.append(f"{name}: {(child.text or '').strip()}")
    text = "== Section Settings ==\n" + "".join(f"{each}\n" for each in settings) if settings else ""
    if sections:
        text += "== Subsections ==\n" + "".join(f"{each}\n" for each in sections)
    console.print(text)


def _attributes(element: Section) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in element.attrib.items()]


def _name(element: Section) -> str:
    """The name, with a number where siblings share it."""
    parent = element.getparent()
    alike = [] if parent is None else list(parent.iterchildren(element.tag))
    return f"{element.tag}[{alike.index(element) + 1}]" if len(alike) > 1 else str(element.tag)


def _relative(current: Conf, here: Section | None, element: Section) -> str:
    base = "/" if here is None else _below(current, here)
    path = _below(current, element)
    if base == "/":
        return path.removeprefix("/")
    return path.removeprefix(base + "/") if path.startswith(base + "/") else path


def cd(console: Console, words: list[str]) -> None:
    """``cd XPATH``."""
    if len(words) != 1:
        console.print("requires one argument\n")
        return
    current = conf.current()
    with current.lock:
        if words[0] in ("/", ".."):
            here = _here(current, console)
            parent = None if here is None or words[0] == "/" or here is current.root else here.getparent()
            console.facts["conf"] = _below(current, current.root if parent is None else parent)
            return
        path = _xpath(current, console, words[0])
        found = _elements(current, path)
        if len(found) == 1:
            console.facts["conf"] = _below(current, found[0])
            return
    console.print(f"{'ambiguous' if found else 'no such'} section [{path}]\n")


def section(console: Console, words: list[str]) -> None:
    """``section NAME``."""
    if not _may_change(console, words):
        return
    current = conf.current()
    with current.lock:
        here = _here(current, console)
        if here is None:
            console.print("no such section\n")
            return
        found = list(here.iterchildren(words[0]))
        if len(found) > 1:
            console.print("cannot create section\n")
            return
        made = found[0] if found else etree.SubElement(here, words[0])
        if not found:
            current.mark_changed(here)
        console.facts["conf"] = _below(current, made)


def no_section(console: Console, words: list[str]) -> None:
    """``no section NAME``."""
    if not _may_change(console, words):
        return
    current = conf.current()
    with current.lock:
        here = _here(current, console)
        found = None if here is None else here.find(words[0])
        if found is None:
            console.print("no such section\n")
            return
        try:
            current.remove_section(found)
        except ConfError as refused:
            console.print(f"{refused}\n")


def _may_change(console: Console, words: list[str]) -> bool:
    if len(words) != 1:
        console.print("requires one argument\n")
        return False
    try:
        etree.QName(words[0])
        fit = "{" not in words[0] and ":" not in words[0]
    except ValueError:
        fit = False
    if not fit:
        console.print("invalid section name\n")
    elif console.facts.get("conf", "/") == "/":
        console.print("manipulation of toplevel section disallowed\n")
    else:
        return True
    return False
