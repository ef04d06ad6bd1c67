"""An executor without processes: the sweep's logic can be tested in milliseconds."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from bench.base.errors import UserError
from bench.base.raised import in_words
from bench.executors import Done, Failed, Group, Stage
from bench.sweep.run import CellSetup


class InProcess:
    """Satisfies `bench.executors.Executor`; remembers the cells that it was given, in the order that it did them."""

    def __init__(self, jobs: int = 1) -> None:
        assert jobs > 0
        self.stages: list[Stage] = []
        """All that it was given."""
        self.items: list[Any] = []
        """The cells."""

    def run(self, stages: Iterable[Stage]) -> Iterator[Done | Failed]:
        for stage in stages:
            self.stages.append(stage)
            work = stage.setup()
            for item in [item for group in in_turn(stage.groups) for item in group.items]:
                if isinstance(stage.setup, CellSetup):
                    self.items.append(item)
                try:
                    yield Done(item, work(item))
                except (UserError, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001
                    yield Failed(item, in_words(error), traceback.format_exc())


def in_turn(groups: Iterable[Group]) -> list[Group]:
    """In the order given, but each after those that it waits for."""
    waiting, found = list(groups), []
    while waiting:
        names = {group.name for group in waiting}
        ready = next((group for group in waiting if not group.after & names), None)
        if ready is None:
            raise ValueError("the groups that are left wait for each other")
        waiting.remove(ready)
        found.append(ready)
    return found
