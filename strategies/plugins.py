"""Strategies of others: found through the entry point group `ganprune.strategies`, or named by the user.

A plug-in is a module that registers criteria and strategies when it is imported. One that cannot be imported is
reported and leaves nothing behind; the others work on.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from strategies.base import Criterion
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy
from strategies.criteria import CRITERIA

GROUP = "ganprune.strategies"


@dataclass(frozen=True)
class Plugin:
    """A plug-in and what it registered, or why it could not be loaded."""

    name: str
    origin: str
    """The distribution that brings it, or ``--plugin``."""
    strategies: tuple[str, ...] = ()
    error: str = ""


class PluginError(Exception):
    """A plug-in that was asked for by name cannot be used; the message says why."""


@functools.cache
def installed_plugins() -> tuple[Plugin, ...]:
    """Load what installed distributions offer, once a process; a broken one carries its error."""
    found = []
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        origin = point.dist.name if point.dist else "an unknown distribution"
        found.append(_load(point.value, point.name, origin))
    return tuple(found)


def installed_names() -> tuple[str, ...]:
    """The plug-ins of installed distributions; none is run."""
    return tuple(sorted({point.name for point in metadata.entry_points(group=GROUP)}))


def load_plugin(name: str) -> Plugin:
    """Load the module ``package.module``, or the file ``path/to/file.py``; again is free.

    Raises:
        PluginError: there is no such module, or it raised.
    """
    plugin = _named(name, str(Path(name).resolve()) if name.endswith(".py") else name)
    if plugin.error:
        raise PluginError(f"plug-in {name!r}: {plugin.error}")
    return plugin


@functools.cache
def _named(name: str, place: str) -> Plugin:
    return _load(place, name, "--plugin")


def _load(place: str, name: str, origin: str) -> Plugin:
    strategies, criteria = set(STRATEGIES), set(CRITERIA)
    try:
        _import(place)
        added = [key for key in STRATEGIES if key not in strategies]
        _check(added, [key for key in CRITERIA if key not in criteria])
    except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever somebody else's module raises)
        STRATEGIES.forget(set(STRATEGIES) - strategies)
        CRITERIA.forget(set(CRITERIA) - criteria)
        return Plugin(name, origin, error=f"{type(error).__name__}: {error}")
    return Plugin(name, origin, tuple(added))


def _check(strategies: Iterable[str], criteria: Iterable[str]) -> None:
    """What was registered is what is registered there. Raises TypeError."""
    registered: list[tuple[str, str, object, type]] = [
        *(("strategy", name, STRATEGIES[name], Strategy) for name in strategies),
        *(("criterion", name, CRITERIA[name], Criterion) for name in criteria),
    ]
    for kind, name, thing, expected in registered:
        if not isinstance(thing, expected):
            raise TypeError(
                f"it registers {type(thing).__name__} as the {kind} {name!r}; expected a {expected.__name__}"
            )


def _import(place: str) -> None:
    if not place.endswith(".py"):
        here = str(Path.cwd())
        if here not in sys.path:  # as `python -m` would; the installed command does not
            sys.path.append(here)
        importlib.import_module(place.partition(":")[0])
        return
    path = Path(place)
    module_name = f"ganprune_plugin_{path.stem}"
    if module_name in sys.modules:
        if sys.modules[module_name].__file__ != str(path):
            raise ImportError(f"two plug-in files are called {path.name}; rename one")
        return
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
