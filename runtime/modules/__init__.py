"""Dynamically loadable modules: found by the configuration, configured, started.  Manual: Dynamically Loadable
Modules.

A module has the shape of :class:`Generic`.  ``<generic image="IMAGE" name="NAME"/>``, or ``<module …/>``, is handed
to the loader that its attribute ``loader`` names.  The loader ``C``, that of modules that name none, finds a Python
class: under the pair in the table of modules that come with a program (:func:`register`), else as attribute NAME of a
file IMAGE.py in the directories of ``<modules directory="DIR:DIR">``.  Others are taught to the stack by name, by a
program (:func:`register_loader`) or by the configuration: ``<loader image="IMAGE" name="NAME"/>`` is found likewise.
"""

import importlib
import importlib.util
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from runtime import log
from runtime.conf import Conf, ConfError, Section, names


class ModuleError(Exception):
    """A module cannot be loaded, configured or started; the message names it."""


class Generic(Protocol):
    """What the loader asks of a module.

    One that has an attribute ``KEYS``, a :class:`runtime.conf.names.Names`, gets no other keys in its own
    ``<config>``: an unknown one is an error with its line.  One that has a method ``check`` is asked by those who look
    for mistakes without starting: it gives messages, each beginning with the key that it is about.  One that has an
    attribute ``whence`` gets there, if the configuration is a file, what puts file and line before such a message."""

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the merged ``<config>``; the loops do not run yet.

        Raises ValueError for what it cannot use: ``KEY: why`` is reported with the line of that key."""

    def init(self) -> None:
        """Start working: the event loops run."""


class Loader(Protocol):
    """What loads modules of another kind.  Manual: Loader Modules."""

    def configure(self, config: Mapping[str, str]) -> None:
        """As :meth:`Generic.configure`; before the first module is loaded."""

    def load(self, image: str, name: str, directories: list[Path]) -> Generic:
        """The module *name* of *image*, to be looked for in *directories*.

        Raises ValueError, or :exc:`ModuleError`, saying why there is none."""


class Loaded(NamedTuple):
    """A module of the configuration, ready to start; *type* is ``generic`` or ``loader``."""

    image: str
    name: str
    module: Any
    section: Section
    type: str = "generic"

    def __str__(self) -> str:
        return f"{'loader' if self.type == 'loader' else 'module'} {self.name} (image {self.image})"


GENERICS = ("generic", "module")

DEFAULT_LOADER = "C"
_WORD = re.compile(r"[\w.-]+")

_registered: dict[tuple[str, str], str] = {
    (each, each): f"runtime.modules.{each}:{target}"
    for each, target in {
        "amqp": "Amqp",
        "consul": "Consul",
        "fq": "Fq",
        "http_hmac_cookie": "HmacCookie",
        "http_observer": "HttpObserver",
        "zipkin_fq": "ZipkinFq",
        "zipkin_jaeger": "ZipkinJaeger",
        "zipkin_otlp": "ZipkinOtlp",
    }.items()
}
_loaders: dict[str, str] = {}
_loaded: list[Loaded] = []


def register(image: str, name: str, target: str) -> None:
    """Have *image* and *name* stand for the class *target*, ``package.module:Class``; imported at first use."""
    _registered[image, name] = target


def register_loader(name: str, target: str) -> None:
    """Have ``loader="NAME"`` stand for an object of the class *target*, ``package.module:Class``: a
    :class:`Loader`."""
    _loaders[name] = target


def load(configuration: Conf) -> list[Loaded]:
    """Load and configure every ``<loader>`` of *configuration*, then every ``<generic>`` and ``<module>``, in order.

    Complains (:meth:`runtime.conf.Conf.complain`) of one that is not found, is no module, or refuses its configuration,
    and of a key that the module does not know."""
    _loaded[:] = _load_all(configuration)
    configuration.hold_reloads_against(_check_reloaded)
    return [each for each in _loaded if each.type == "generic"]


def check(configuration: Conf) -> None:
    """Look for what is wrong with the modules that *configuration* declares, each loaded and configured, none started.

    Complains (:meth:`runtime.conf.Conf.complain`)."""
    for each in _load_all(configuration):
        look = getattr(each.module, "check", None)
        for message in look() if callable(look) else ():
            configuration.complain(configuration.complaint(f"{each}: {message}", each.section))


def _load_all(configuration: Conf) -> list[Loaded]:
    root = configuration.root_name
    tops = configuration.get_sections(f"/{root}/modules|/{root}/include/modules")
    known: dict[str, Loader] = {}
    found: list[Loaded] = []
    for each_top in tops:
        for path in _directories(configuration, each_top):
            if not path.is_dir():
                about = f"<modules> directory: there is no directory '{path}'"
                configuration.warn(configuration.error(about, each_top))
    for tags in (("loader",), GENERICS):
        for section in _active(configuration, tops, tags):
            try:
                each = _load(configuration, section, known)
            except ConfError as mistake:
                configuration.complain(mistake)
                continue
            except ModuleError as mistake:
                configuration.complain(configuration.error(str(mistake), section))
                continue
            if each is None:
                continue
            found.append(each)
            if each.type == "loader":
                known[each.name] = each.module
    return found


def _active(configuration: Conf, tops: list[Section], tags: tuple[str, ...]) -> list[Section]:
    """The elements of these *tags* below *tops* that the environment leaves on, in order."""
    return [each for top in tops for each in top.iterdescendants(*tags) if not configuration.env_off(each)]


def _load(configuration: Conf, section: Section, known: dict[str, Loader]) -> Loaded | None:
    """The module of *section*; complains of its configuration, and returns None where that is listened to."""
    before = configuration.complaints
    image = configuration.inherited(section, "image")
    name = configuration.inherited(section, "name")
    if not image or not name:
        lacking = "name" if image else "image"
        raise ModuleError(f"a <{section.tag}> needs an image and a name: it has no {lacking}")
    directories = _directories(configuration, section)
    kind = "loader" if section.tag == "loader" else "generic"
    loader = configuration.inherited(section, "loader") or DEFAULT_LOADER
    where = str(Loaded(image, name, None, section, kind))

    def make() -> Any:
        module = _found(loader, known, image, name, directories, where)
        for needed in ("configure", "load" if kind == "loader" else "init"):
            if not callable(getattr(module, needed, None)):
                raise ModuleError(f"{where} is no {'loader' if kind == 'loader' else 'module'}: it has no {needed}")
        return module

    module = make()
    if hasattr(module, "whence") and configuration.file is not None:
        module.whence = lambda message: str(configuration.complaint(message, section))
    _check_keys(configuration, section, module)
    keys = configuration.get_hash(section, "config")
    refused = _refused(module, keys, where)
    while refused is not None:
        configuration.complain(configuration.complaint(refused, section))
        named = next((each for each in _WORD.findall(refused.removeprefix(where)) if each in keys), None)
        if named is None:
            break
        del keys[named]  # what else is wrong is told too, where all is to be told
        module = make()
        refused = _refused(module, keys, where)
    return Loaded(image, name, module, section, kind) if configuration.complaints == before else None


def _refused(module: Any, keys: Mapping[str, str], where: str) -> str | None:
    """What *module* has against its configuration."""
    try:
        module.configure(keys)
    except ValueError as mistake:
        return f"{where}: {mistake}"
    except ConfError:
        raise
    except Exception as failure:
        log.debug.log(f"{where} failed to take its configuration\n{traceback.format_exc()}")
        raise ModuleError(f"{where} failed to take its configuration: {_told(failure)}") from failure
    return None


def _check_keys(configuration: Conf, section: Section, module: Any) -> None:
    closed = getattr(module, "KEYS", None)
    if closed is not None:
        names.check_keys(configuration, section, closed, set())


def _check_reloaded(configuration: Conf) -> None:
    """Raises :exc:`runtime.conf.ConfError` for a key that a module of this process does not know."""
    root = configuration.root_name
    found = {(each.image, each.name): each.module for each in _loaded}
    tops = configuration.get_sections(f"/{root}/modules|/{root}/include/modules")
    for section in _active(configuration, tops, (*GENERICS, "loader")):
        image, name = configuration.inherited(section, "image"), configuration.inherited(section, "name")
        _check_keys(configuration, section, found.get((image or "", name or "")))


def _found(loader: str, known: dict[str, Loader], image: str, name: str, directories: list[Path], where: str) -> Any:
    if loader not in known and loader != DEFAULT_LOADER:
        if loader not in _loaders:
            names = ", ".join(sorted({DEFAULT_LOADER, *known, *_loaders}))
            raise ModuleError(f"{where}: there is no loader '{loader}' (known: {names})")
        known[loader] = _made(_loaders[loader])()
    if loader not in known:
        return _find(image, name, directories)
    try:
        return known[loader].load(image, name, directories)
    except ModuleError:
        raise
    except Exception as failure:
        log.debug.log(f"{where} failed to load\n{traceback.format_exc()}")
        raise ModuleError(f"{where} failed to load: {failure}") from failure


def are_all_ours() -> bool:
    """Whether all modules of the configuration that was loaded come with a program."""
    return all((each.image, each.name) in _registered for each in _loaded if each.type == "generic")


def loaded() -> list[Loaded]:
    """The modules of the configuration that was loaded."""
    return list(_loaded)


def start(loaded: list[Loaded]) -> None:
    """Start modules, in order.

    Raises :exc:`ModuleError` for one that fails; its traceback is in the debug log."""
    for each in loaded:
        try:
            each.module.init()
        except Exception as failure:
            log.debug.log(f"module {each.name} failed to start\n{traceback.format_exc()}")
            raise ModuleError(f"module {each.name} (image {each.image}) failed to start: {failure}") from failure


def _directories(configuration: Conf, section: Section) -> list[Path]:
    """Where modules of *section* are looked for."""
    paths = re.split("[:;]", configuration.inherited(section, "directory") or "")
    return [Path(configuration.found(each)) for each in paths if each]


def _made(target: str) -> Any:
    """What ``package.module:Name`` stands for."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _find(image: str, name: str, directories: list[Path]) -> Any:
    target = _registered.get((image, name))
    try:
        if target is not None:
            place, _, attribute = target.partition(":")
            module = importlib.import_module(place)
        else:
            path = next((each / f"{image}.py" for each in directories if (each / f"{image}.py").is_file()), None)
            if path is None:
                raise ModuleError(_nowhere(image, name, directories))
            attribute = name
            spec = importlib.util.spec_from_file_location(f"runtime.modules.loaded.{image}", path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        if not hasattr(module, attribute):
            raise ModuleError(f"image {image} has no module {name}: there is no such name in {module.__file__}")
        return getattr(module, attribute)()
    except ModuleError:
        raise
    except Exception as failure:
        log.debug.log(f"module {name} failed to load\n{traceback.format_exc()}")
        raise ModuleError(f"module {name} (image {image}) failed to load: {_told(failure)}") from failure


def _nowhere(image: str, name: str, directories: list[Path]) -> str:
    tried = ", ".join(f"{each}{'' if each.is_dir() else ', which is no directory'}" for each in directories)
    beside = sorted(each for known, each in _registered if known == image)
    images = sorted({known for known, _ in _registered})
    there = f"it has {', '.join(beside)}" if beside else f"built in are {', '.join(images)}"
    return f"no module {name} in image {image} (not built in; looked in {tried or 'no directories'}): {there}"


def _told(failure: Exception) -> str:
    """In one line, with its place where that is a file of the module's."""
    place = traceback.extract_tb(failure.__traceback__)
    at = "" if not place or isinstance(failure, SyntaxError) else f" ({place[-1].filename}:{place[-1].lineno})"
    kind = type(failure).__name__
    return " ".join(f"{kind}: {failure}{at}".split())
