"""Packages that add to the zoo, found through the entry-point group ``cnnzoo.plugins``.

A package declares one entry point, whose *name* becomes the prefix of everything it registers::

    [project.entry-points."cnnzoo.plugins"]
    acme = "acme_nets.zoo"       # the module whose import registers; names read "acme:fancy_net"

Plugins are imported on the first look-up, not at ``import cnnzoo``. One that fails is quarantined:
what it had registered so far is hidden, its traceback is kept, everything else goes on.
"""

from __future__ import annotations

import functools
import importlib.metadata
import traceback
from dataclasses import dataclass

GROUP = "cnnzoo.plugins"


@dataclass(frozen=True)
class Plugin:
    """One installed plugin and how its import went.

    Attributes:
        name: prefix of its names, as in ``name:model``.
        module: the module whose import registers them.
        distribution: name of the installed package, or ``"?"``.
        version: version of that package, or ``"?"``.
        error: traceback of the failed import; ``None`` when it worked.
    """

    name: str
    module: str
    distribution: str
    version: str
    error: str | None = None


def prefix_of(module: str) -> str | None:
    """Return the plugin that ``module`` belongs to (by its top-level package), if any.

    Decided by the package and not by who imports first, so that the names are the same when a
    person imports the plugin himself before cnnzoo does.
    """
    return _prefix_by_package().get(module.partition(".")[0])


@functools.cache
def load_plugins() -> tuple[Plugin, ...]:
    """Import every plugin once; never raises for a broken one.

    >>> all(plugin.error is None for plugin in load_plugins())
    True
    """
    return tuple(_load(entry) for entry in _entry_points())


def quarantined() -> frozenset[str]:
    """Return the prefixes of the plugins that failed to load."""
    return frozenset(plugin.name for plugin in load_plugins() if plugin.error is not None)


def forget() -> None:
    """Forget what was found, so that the next look-up reads the entry points again."""
    for cached in (_entry_points, _prefix_by_package, load_plugins):
        cached.cache_clear()


@functools.cache
def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    found = importlib.metadata.entry_points(group=GROUP)
    return tuple(sorted(found, key=lambda entry: entry.name))


@functools.cache
def _prefix_by_package() -> dict[str, str]:
    return {entry.module.partition(".")[0]: entry.name for entry in _entry_points()}


def _load(entry: importlib.metadata.EntryPoint) -> Plugin:
    error = None
    try:
        entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever a stranger's module does at import, SystemExit included
        error = traceback.format_exc()
    distribution = entry.dist
    return Plugin(
        name=entry.name,
        module=entry.module,
        distribution=distribution.name if distribution else "?",
        version=distribution.version if distribution else "?",
        error=error,
    )
