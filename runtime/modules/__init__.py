"""Dynamically loadable modules: found by the configuration, configured, started.  Manual: Dynamically Loadable Modules.

A module is a Python class with the shape of :class:`Generic`.  ``<generic image="IMAGE" name="NAME"/>`` finds it under
the pair in the table of modules that come with a program (:func:`register`), else as attribute NAME of a file IMAGE.py
in the directories of ``<modules directory="DIR:DIR">``.
"""

import importlib
import importlib.util
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runtime import log
from runtime.conf import Conf


class ModuleError(Exception):
    """A module cannot be loaded, configured or started; the message names it."""


class Generic(Protocol):
    """What the loader asks of a module."""

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the merged ``<config>``.  Raises ValueError for what it cannot use; the loops do not run yet."""

    def init(self) -> None:
        """Start working: the event loops run."""


@dataclass(frozen=True)
class Loaded:
    """A module of the configuration, ready to start."""

    image: str
    name: str
    module: Generic


_registered: dict[tuple[str, str], str] = {}
_loaded: list[Loaded] = []


def register(image: str, name: str, target: str) -> None:
    """Have *image* and *name* stand for the class *target*, ``package.module:Class``; imported at first use."""
    _registered[image, name] = target


def load(configuration: Conf) -> list[Loaded]:
    """Load and configure every ``<generic>`` of *configuration*, in order.

    Raises :exc:`ModuleError` for one that is not found, is no module, or refuses its configuration."""
    root = configuration.root_name
    loaded: list[Loaded] = []
    for section in configuration.get_sections(f"/{root}/modules//generic|/{root}/include/modules//generic"):
        if configuration.env_off(section):
            continue
        image = configuration.inherited(section, "image")
        name = configuration.inherited(section, "name")
        if not image or not name:
            raise ModuleError("a <generic> needs an image and a name")
        directories = re.split("[:;]", configuration.inherited(section, "directory") or "")
        module = _find(image, name, [Path(each) for each in directories if each])
        try:
            module.configure(configuration.get_hash(section, "config"))
        except ValueError as mistake:
            raise ModuleError(f"module {name} (image {image}): {mistake}") from None
        loaded.append(Loaded(image, name, module))
    _loaded[:] = loaded
    return loaded


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


def _find(image: str, name: str, directories: list[Path]) -> Generic:
    target = _registered.get((image, name))
    try:
        if target is not None:
            module_name, _, attribute = target.partition(":")
            module = importlib.import_module(module_name)
        else:
            attribute = name
            path = next((each / f"{image}.py" for each in directories if (each / f"{image}.py").is_file()), None)
            if path is None:
                tried = ", ".join(map(str, directories)) or "no directories"
                raise ModuleError(f"no module {name} in image {image} (not built in; looked in {tried})")
            spec = importlib.util.spec_from_file_location(f"runtime.modules.loaded.{image}", path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        factory = getattr(module, attribute)
    except AttributeError:
        raise ModuleError(f"image {image} has no module {name}") from None
    except ModuleError:
        raise
    except Exception as failure:
        log.debug.log(f"module {name} failed to load\n{traceback.format_exc()}")
        raise ModuleError(f"module {name} (image {image}) failed to load: {failure}") from failure
    created: Generic = factory()
    return created
