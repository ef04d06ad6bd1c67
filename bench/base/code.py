"""What enters a key of the code that is running: syntax trees, whatever the modules that hold them are called."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.kept import Kept
from bench.base.source import source_text

OURS = ("bench", "strategies")


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def tree_hash(source: str) -> str:
    """A hash of what ``source`` computes: its syntax tree without docstrings, imports and comments.

    Without imports, a module may be moved or renamed and nobody's hash changes; what is imported has a hash of its own.
    """
    words: list[str] = []
    _say(ast.parse(source), words)
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _say(node: ast.AST, words: list[str]) -> None:
    """The kind of ``node`` and, in order, the names and values of its fields."""
    words.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        words.append(name)
        if isinstance(value, ast.AST):
            _say(value, words)
        elif isinstance(value, list):
            words.append("[")
            for one in value:
                if not isinstance(one, ast.AST):
                    words.append(repr(one))
                elif not _said_only(one):
                    _say(one, words)
            words.append("]")
        else:
            words.append(repr(value))


def _said_only(node: ast.AST) -> bool:
    """What is not computed with: imports, those for readers, docstrings, the list of a module's public names."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)


def source_of(module: str) -> str | None:
    """The text of a module; None where it has none (a built-in, a compiled one)."""
    return _our_source(module) if module.split(".")[0] in OURS else _source(module)


def _source(module: str) -> str | None:
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None:
        spec = importlib.util.find_spec(module)
        path = spec.origin if spec else None
    return source_text(Path(path)) if path is not None and path.endswith(".py") else None


_our_source = functools.cache(_source)
"""Ours do not change while they run; a plug-in that is being written may."""


@dataclass(frozen=True)
class Code:
    """Hashes of modules, from their source as it was when each was first asked for."""

    source: Callable[[str], str | None] = source_of
    _hashes: Kept[frozenset[str], str] = field(default_factory=Kept, compare=False, repr=False)
    _closures: Kept[tuple[frozenset[str], frozenset[str]], frozenset[str]] = field(
        default_factory=Kept, compare=False, repr=False
    )

    def hash(self, modules: Iterable[str]) -> str:
        """One hash of what ``modules`` compute, in whatever order and under whatever names."""
        found = frozenset(modules)
        return self._hashes.get(found, lambda: digest(sorted(self._tree(module) for module in found)))

    def _tree(self, module: str) -> str:
        source = self.source(module)
        return "no-source" if source is None else tree_hash(source)

    def closure(self, modules: Iterable[str], besides: frozenset[str] = frozenset()) -> frozenset[str]:
        """``modules`` and all of `strategies`, or of their own package, that they import, but for ``besides``."""
        start = frozenset(modules)
        return self._closures.get((start, besides), lambda: self._closure(start, besides))

    def _closure(self, modules: frozenset[str], besides: frozenset[str]) -> frozenset[str]:
        found: set[str] = set()
        waiting = list(modules)
        while waiting:
            name = waiting.pop()
            if name in found or name in besides:
                continue
            found.add(name)
            source = self.source(name)
            waiting += () if source is None else _imports(name, source)
        return frozenset(found)


@functools.cache
def _imports(module: str, source: str) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            if node.level:
                origin = importlib.util.resolve_name(origin, _package_of(module))
            found += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(name for name in found if _is_followed(name, module))


def _package_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    return (spec.parent if spec else None) or module.rpartition(".")[0]


def _is_followed(name: str, importer: str) -> bool:
    """What defines a pruned network besides the harness: `strategies`, and the package of a plug-in."""
    here = importer.split(".")[0]
    if not name.startswith("strategies.") and (here in OURS or name.split(".")[0] != here):
        return False
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and spec.origin is not None
