"""A registry of named things: duplicates raise, unknown names are answered with a suggestion."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
"""Names end up in paths, HTML and LaTeX: nothing else gets in."""


MOST_NAMES = 12
"""So many are listed in a message where none is close; `ganprune list` has them all."""

LONGEST_NAME = 200
"""Characters of a name that are shown in a message; what is longer is compared with nothing."""


class UnknownName(KeyError):
    """Nothing is registered under that name."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        self.kind, self.name, self.known = kind, name, known
        close = difflib.get_close_matches(str(name), known, n=1) if len(str(name)) <= LONGEST_NAME else []
        some = ", ".join(known[:MOST_NAMES]) or "none"
        more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
        hint = f"Did you mean {close[0]!r}?" if close else f"Known: {some}{more}."
        said = repr(name) if len(str(name)) <= LONGEST_NAME else f"{str(name)[:LONGEST_NAME]!r}..."
        self.message = f"no {kind} {said}. {hint}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class DuplicateName(ValueError):
    """That name is taken."""


class Registry(Generic[T]):
    """Ordered name -> thing, with the place where each thing was registered."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}
        self._origins: dict[str, str] = {}

    def add(self, name: str, thing: T, *, origin: str | None = None) -> T:
        """Register ``thing``; raises `DuplicateName` if the name is taken, ValueError if it is unsafe."""
        if not SAFE_NAME.fullmatch(name) or ".." in name:
            raise ValueError(f"{self.kind} name {name!r} is not usable in a path: letters, digits and + . _ - only")
        if name in self._things:
            raise DuplicateName(f"{self.kind} {name!r} is already registered in {self._origins[name]}")
        self._things[name] = thing
        self._origins[name] = origin or caller()
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        origin = caller()
        return lambda thing: self.add(name, thing, origin=origin)

    def forget(self, names: Iterable[str]) -> None:
        """Take ``names`` out again, as if they had never been added."""
        for name in list(names):
            del self._things[name], self._origins[name]

    def __getitem__(self, name: str) -> T:
        if name not in self._things:
            raise UnknownName(self.kind, name, list(self._things))
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def origin(self, name: str) -> str:
        """File and line where ``name`` was registered."""
        self[name]
        return self._origins[name]


def caller() -> str:
    """File and line from which the function that asks was called.

    The frame itself: ``inspect.stack`` looks for the source of every frame, which took two seconds of every start.
    """
    frame = sys._getframe(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
