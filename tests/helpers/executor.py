"""An executor without processes: the sweep's logic can be tested in milliseconds."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.base.errors import UserError
from bench.executors import Done, Failed, Setup
from bench.sweep.run import CellSetup


class InProcess:
    """Satisfies `bench.executors.Executor`; remembers the cells that it was given, in order."""

    def __init__(self, jobs: int = 1) -> None:
        assert jobs > 0
        self.stages: list[list[list[Any]]] = []

    @property
    def items(self) -> list[Any]:
        return [item for stage in self.stages for group in stage for item in group]

    def run(self, setup: Setup, stages: Sequence[Sequence[Iterable[Any]]]) -> Iterator[Done | Failed]:
        kept = [[list(group) for group in stage] for stage in stages]
        if isinstance(setup, CellSetup):
            self.stages += kept
        work = setup()
        for item in [item for stage in kept for group in stage for item in group]:
            try:
                yield Done(item, work(item))
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001
                yield Failed(item, f"{type(error).__name__}: {error}", traceback.format_exc())
