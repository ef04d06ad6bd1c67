"""What enters a key of the code that is running: syntax trees, whatever the modules that hold them are called."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    return hashlib.sha256(ast.dump(_Bare().visit(ast.parse(source))).encode()).hexdigest()


class _Bare(ast.NodeTransformer):
    """Takes out whatever is not computed with."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [statement for statement in body if not _said_only(statement)]  # type: ignore[attr-defined]
        return node

    def visit_Import(self, node: ast.Import) -> None:
        """Where from is no part of what."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Where from is no part of what."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """``if TYPE_CHECKING`` holds imports for readers."""
        return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else self.generic_visit(node)


def _said_only(node: ast.stmt) -> bool:
    """A docstring, or the list of a module's public names."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)


def source_of(module: str) -> str | None:
    """The text of a module; None where it has none (a built-in, a compiled one)."""
    return _our_source(module) if module.split(".")[0] in OURS else _source(module)


def _source(module: str) -> str | None:
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None:
        spec = importlib.util.find_spec(module)
        path = spec.origin if spec else None
    return Path(path).read_text(encoding="utf-8") if path is not None and path.endswith(".py") else None


_our_source = functools.cache(_source)
"""Ours do not change while they run; a plug-in that is being written may."""


@dataclass(frozen=True)
class Code:
    """Hashes of modules, from their source."""

    source: Callable[[str], str | None] = source_of

    def hash(self, modules: Iterable[str]) -> str:
        """One hash of what ``modules`` compute, in whatever order and under whatever names."""
        return digest(sorted(self._tree(module) for module in set(modules)))

    def _tree(self, module: str) -> str:
        source = self.source(module)
        return "no-source" if source is None else tree_hash(source)

    def closure(self, modules: Iterable[str], besides: frozenset[str] = frozenset()) -> frozenset[str]:
        """``modules`` and all of `strategies`, or of their own package, that they import, but for ``besides``."""
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
