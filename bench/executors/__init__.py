"""Who carries out groups of cells. An executor takes groups and yields what comes of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Done:
    """A finished item and its result."""

    item: Any
    result: Any


@dataclass(frozen=True)
class Failed:
    """An item that raised, or whose process died."""

    item: Any
    error: str
    traceback: str


Work = Callable[[Any], Any]
"""``item -> result``, called in a worker process."""

Setup = Callable[[], Work]
"""Called once in each worker process; returns the work. Must be picklable."""


class Executor(Protocol):
    """Groups in, outcomes out, in whatever order they finish. The items of a group run one after the other."""

    def run(self, setup: Setup, stages: Sequence[Sequence[Iterable[Any]]]) -> Iterator[Done | Failed]:
        """Carry out the groups of each stage; the next stage begins when the last item of the one before is done."""
