"""A cell whose names have become things: parsed once, it goes through load, prune, recover and measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.artifact.finishes import Finish
from bench.records import Cell, Keys
from bench.tasks import TASKS, Task
from bench.tasks.evaluation import Judge
from bench.training.recovery import Recovery
from bench.workloads.loaded import Gan
from strategies.base import Level
from strategies.composition import Strategy


@dataclass(frozen=True)
class Loaded:
    """A trained GAN and who judges it."""

    gan: Gan
    judge: Judge[Any]

    @property
    def task(self) -> Task:
        """What the workload is for."""
        return TASKS[self.gan.workload.task]


@dataclass(frozen=True)
class ResolvedCell:
    """What is done and measured for one cell."""

    cell: Cell
    """As it stands in the record."""
    keys: Keys
    dense: ResolvedCell | None
    """The cell that it is compared with: dense of the same recovery and seed, without a finish; None: it is that
    cell."""
    loaded: Loaded
    strategy: Strategy | None
    """None: dense."""
    level: Level
    recovery: Recovery
    streams: frozenset[str]
    """The random streams that its network depends on; its numbers depend on `eval` besides."""
    finish: Finish | None = None
    unfinished: ResolvedCell | None = None
    """The cell of the same network before its finish; None: it has no finish."""

    @property
    def gan(self) -> Gan:
        return self.loaded.gan

    @property
    def dense_key(self) -> str:
        """The `eval` key of the cell that it is compared with; a dense cell's own."""
        return (self.dense or self).keys.eval

    @property
    def network_key(self) -> str:
        """What cells share that are measured on one recovered network, whatever their finish."""
        return (self.unfinished or self).keys.prune

    @property
    def draws(self) -> bool:
        """Whether what goes hangs on the cell's seed."""
        return "prune" in self.streams
