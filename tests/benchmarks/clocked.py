"""When workers begin and end their items: the time from the first cell that is begun to the last record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bench.executors import Done, Failed, Setup, Stage, Work
from bench.executors.local import LocalExecutor


@dataclass(frozen=True)
class Item:
    """What one item took, in seconds; ``begin`` and ``end`` are of one clock for all processes."""

    begin: float
    end: float
    cpu: float


class Clocked:
    """Picklable: the work of ``setup``, its results with the times that they took."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def __call__(self) -> Work:
        work = self.setup()

        def clocked(item: Any) -> tuple[Any, Item]:
            begin, cpu = time.monotonic(), time.process_time()
            result = work(item)
            return result, Item(begin, time.monotonic(), time.process_time() - cpu)

        return clocked


class ClockedExecutor:
    """The local one, which remembers what each item took and when the last result was dealt with."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.items: list[Item] = []
        self.last = 0.0

    def run(self, stages: Iterable[Stage]) -> Iterator[Done | Failed]:
        """One setup for each stage, so this is for runs of one stage."""
        for outcome in LocalExecutor(self.jobs).run(replace(stage, setup=Clocked(stage.setup)) for stage in stages):
            if isinstance(outcome, Failed):
                yield outcome
                continue
            result, item = outcome.result
            self.items.append(item)
            yield Done(outcome.item, result)
            self.last = time.monotonic()

    @property
    def seconds(self) -> float:
        """From the first item that was begun to the last record."""
        return self.last - min(item.begin for item in self.items)

    @property
    def cpu(self) -> float:
        """CPU seconds of all items."""
        return sum(item.cpu for item in self.items)

    @property
    def busy(self) -> float:
        """How many workers were at an item, on average."""
        return sum(item.end - item.begin for item in self.items) / self.seconds
