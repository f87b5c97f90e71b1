"""The commands every console has, a file a first word.  Manual: Console.

Each file has ``install(registry)``.
"""

from runtime.console._grammar import Registry

from . import configure, fq, general, log, mtev, process, reverse, show


def install(registry: Registry) -> None:
    """Enter them all."""
    for each in (general, show, reverse, fq, log, mtev, configure, process):
        each.install(registry)
