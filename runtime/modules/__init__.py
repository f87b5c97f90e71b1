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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runtime import log
from runtime.conf import Conf, ConfError, Section, names


class ModuleError(Exception):
    """A module cannot be loaded, configured or started; the message names it."""


class Generic(Protocol):
    """What the loader asks of a module.

    One that has an attribute ``KEYS``, a :class:`runtime.conf.names.Names`, gets no other keys in its own
    ``<config>``: an unknown one is an error with its line."""

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


@dataclass(frozen=True)
class Loaded:
    """A module of the configuration, ready to start; *type* is ``generic`` or ``loader``."""

    image: str
    name: str
    module: Any
    type: str = "generic"


GENERICS = ("generic", "module")

DEFAULT_LOADER = "C"

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

    Raises :exc:`ModuleError` for one that is not found or is no module; :exc:`runtime.conf.ConfError`, with file and
    line, for a key that a module does not know and for a value that it refuses."""
    root = configuration.root_name
    tops = configuration.get_sections(f"/{root}/modules|/{root}/include/modules")
    known: dict[str, Loader] = {}
    loaded: list[Loaded] = []
    for section in _active(configuration, tops, ("loader",)):
        each = _load(configuration, section, known)
        known[each.name] = each.module
        loaded.append(each)
    loaded += [_load(configuration, section, known) for section in _active(configuration, tops, GENERICS)]
    _loaded[:] = loaded
    configuration.hold_reloads_against(_check_reloaded)
    return [each for each in loaded if each.type == "generic"]


def mistakes(configuration: Conf) -> Iterator[Exception]:
    """What is wrong with the modules that *configuration* declares, each loaded and configured, none started."""
    root = configuration.root_name
    tops = configuration.get_sections(f"/{root}/modules|/{root}/include/modules")
    known: dict[str, Loader] = {}
    for tags in (("loader",), GENERICS):
        for section in _active(configuration, tops, tags):
            try:
                each = _load(configuration, section, known)
            except ConfError as mistake:
                yield mistake
            except ModuleError as mistake:
                yield configuration.error(str(mistake), section)
            else:
                if each.type == "loader":
                    known[each.name] = each.module


def _active(configuration: Conf, tops: list[Section], tags: tuple[str, ...]) -> list[Section]:
    """The elements of these *tags* below *tops* that the environment leaves on, in order."""
    return [each for top in tops for each in top.iterdescendants(*tags) if not configuration.env_off(each)]


def _load(configuration: Conf, section: Section, known: dict[str, Loader]) -> Loaded:
    image = configuration.inherited(section, "image")
    name = configuration.inherited(section, "name")
    if not image or not name:
        raise ModuleError(f"a <{section.tag}> needs an image and a name")
    directories = re.split("[:;]", configuration.inherited(section, "directory") or "")
    kind = "loader" if section.tag == "loader" else "generic"
    loader = configuration.inherited(section, "loader") or DEFAULT_LOADER
    where = f"{'loader' if kind == 'loader' else 'module'} {name} (image {image})"
    module = _found(loader, known, image, name, [Path(each) for each in directories if each], where)
    for needed in ("configure", "load" if kind == "loader" else "init"):
        if not callable(getattr(module, needed, None)):
            raise ModuleError(f"{where} is no {'loader' if kind == 'loader' else 'module'}: it has no {needed}")
    _check_keys(configuration, section, module)
    try:
        module.configure(configuration.get_hash(section, "config"))
    except ValueError as mistake:
        element = configuration.get_hash_element(section, str(mistake).partition(":")[0])
        raise configuration.error(f"{where}: {mistake}", section if element is None else element) from None
    return Loaded(image, name, module, kind)


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


def _made(target: str) -> Any:
    """What ``package.module:Name`` stands for."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _find(image: str, name: str, directories: list[Path]) -> Any:
    target = _registered.get((image, name))
    try:
        if target is not None:
            factory = _made(target)
        else:
            path = next((each / f"{image}.py" for each in directories if (each / f"{image}.py").is_file()), None)
            if path is None:
                tried = ", ".join(map(str, directories)) or "no directories"
                raise ModuleError(f"no module {name} in image {image} (not built in; looked in {tried})")
            spec = importlib.util.spec_from_file_location(f"runtime.modules.loaded.{image}", path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            factory = getattr(module, name)
    except AttributeError:
        raise ModuleError(f"image {image} has no module {name}") from None
    except ModuleError:
        raise
    except Exception as failure:
        log.debug.log(f"module {name} failed to load\n{traceback.format_exc()}")
        raise ModuleError(f"module {name} (image {image}) failed to load: {failure}") from failure
    return factory()
