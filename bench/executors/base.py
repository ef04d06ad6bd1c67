"""What an executor is given and what it gives back. Picklable data that knows nothing of cells.

A sweep is a few `Stage` s of `Group` s of items. How they are carried out, by processes of this machine, jobs of a
cluster or actors, is the executor's; that nothing is lost, that an exclusive stage is alone, and that a mistake of the
user's ends the run, is the same for all (`tests/executors/test_conformance.py` holds any implementation against it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.base.limits import BY_DEFAULT, Limits

Work = Callable[[Any], Any]
"""``item -> result``, called in a worker."""

Setup = Callable[[], Work]
"""Called once in each worker; returns the work. Must be picklable."""


@dataclass(frozen=True)
class Resources:
    """What one worker of a stage needs."""

    threads: int = 1
    """Threads that an item computes with; the libraries are told before they are imported."""
    device: str = "cpu"
    """What items compute on. Workers of one machine share it; who asks for machines asks for one that has it."""
    exclusive: bool = False
    """One worker, alone on its machine: all others have ended, so that their cores and memory are free."""
    limits: Limits = BY_DEFAULT
    """What one item may take. Who is over it is ended, and its item is `Failed`."""


@dataclass(frozen=True)
class Group:
    """Items that one worker carries out, one after the other."""

    items: tuple[Any, ...]
    kin: str = ""
    """Groups of one kin share work, so they are best left to one worker; empty: it has no kin."""
    cost: float = 1.0
    """How long it takes, against other groups of the stage."""
    name: str = ""
    """What others wait for."""
    after: frozenset[str] = frozenset()
    """Names of groups of the same stage that must have ended, well or not; a name that none has is no hindrance."""

    def __post_init__(self) -> None:
        """Raises ValueError for a group of nothing: nobody would hear that it has ended."""
        if not self.items:
            raise ValueError("a group without items")


@dataclass(frozen=True)
class Stage:
    """What is carried out before the next stage begins."""

    setup: Setup
    groups: tuple[Group, ...]
    resources: Resources = field(default=Resources())


def stage(setup: Setup, *groups: Iterable[Any], resources: Resources = Resources()) -> Stage:
    """A stage of groups that have nothing to do with each other; empty ones are left out."""
    found = (tuple(group) for group in groups)
    return Stage(setup, tuple(Group(items) for items in found if items), resources)


@dataclass(frozen=True)
class Done:
    """A finished item and its result."""

    item: Any
    result: Any


@dataclass(frozen=True)
class Failed:
    """An item that raised, or whose worker died."""

    item: Any
    error: str
    traceback: str


class Executor(Protocol):
    """Stages in, outcomes out: one for each item, in whatever order they finish."""

    def run(self, stages: Iterable[Stage]) -> Iterator[Done | Failed]:
        """Carry out one stage after the other: the next is asked for when the last item of the one before is done.

        An item that raises, or whose worker dies, is `Failed`, and the rest of its group goes on. Who stops listening
        ends the work.

        Raises:
            UserError: an item or a setup met one; the same would happen to every item.
            ValueError: groups that wait for each other.
        """
