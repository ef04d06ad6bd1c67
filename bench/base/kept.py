"""Small typed memories: what is made once and kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Kept(Generic[K, T]):
    """Things by key, each made at the first asking; of more than ``most``, the oldest goes."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._things: dict[K, T] = {}

    def get(self, key: K, make: Callable[[], T]) -> T:
        """The thing of that key; where it is not kept, what ``make`` gives."""
        if key not in self._things:
            if self._most is not None:  # let go before the new one is made: these can be large
                while len(self._things) >= self._most:
                    del self._things[next(iter(self._things))]
            self._things[key] = make()
        return self._things[key]
