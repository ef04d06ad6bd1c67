"""What a workload is for: which numbers judge it, and what may be said of their differences.

A `Task` is a description: names, units, scales, words. Tables, statistics, the gate and the report know tasks only
through it, so none of them names a metric, and none of them imports PyTorch. What computes the numbers is the task's
`Evaluation`, in a module of its own that is imported where a network is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.tasks.evaluation import Evaluation

Direction = Literal["lower", "higher", "none"]

Scale = Literal["log", "linear", "logit"]
"""On which differences are compared: where errors grow with the value, its logarithm."""

TINY = 1e-12
"""A value of exactly 0 has no logarithm; the smallest that is told apart keeps its rank."""


@dataclass(frozen=True)
class Quantity:
    """One number that a metric gives, as everybody but the metric itself knows it."""

    name: str
    """As in a record, before the judge in brackets: ``psnr`` of ``psnr[judge]``. Also called a family."""
    title: str
    unit: str
    direction: Direction
    summary: str
    scale: Scale = "linear"
    margin: float | None = None
    """What may be lost where a network is said to hold the quality: a share of dense's value on the log scale, an
    amount on the others. None: a share of it is no margin, so that claim is never made of it."""
    decimals: int = 3
    habit: int | None = None
    """The power of ten that papers show it times, where its values are far below 1; None: it is shown as it is."""

    @property
    def better(self) -> str:
        """``lower is better``; empty where neither is."""
        return "" if self.direction == "none" else f"{self.direction} is better"

    @property
    def arrow(self) -> str:
        """The direction as one character; empty where there is none."""
        return {"lower": "↓", "higher": "↑", "none": ""}[self.direction]

    def on_scale(self, value: float) -> float:
        """``value`` where differences are taken."""
        if self.scale == "log":
            return math.log(max(value, TINY))
        if self.scale == "logit":
            share = min(max(value, TINY), 1 - TINY)
            return math.log(share / (1 - share))
        return value

    def at_most(self, margin: float) -> float:
        """What a loss of ``margin`` is on the scale: ``log(1 + margin)``, or the margin itself."""
        return math.log1p(margin) if self.scale == "log" else margin


@dataclass(frozen=True)
class Listed:
    """A number that a record of the task can hold, for lists."""

    name: str
    unit: str
    direction: Direction
    kind: Literal["exact", "stochastic"]
    summary: str


@dataclass(frozen=True)
class Task:
    """What a workload is for, as data."""

    name: str
    quantities: tuple[Quantity, ...]
    """In the order of tables and figures."""
    leaders: tuple[str, ...]
    """The quantities that rows are ranked and tested by; the first that was measured judges a run."""
    beside: tuple[str, ...]
    """Those that the main table shows beside the leader, without a test."""
    metrics: tuple[str, ...]
    """What an experiment measures that names no metrics."""
    gated: tuple[str, ...]
    """What the gate tests; all else with noise is for information."""
    bound: str
    """The quantity of *at equal quality*: how little is enough to hold it."""
    floor: str
    """The number of dense that says what a perfect network would reach; empty where there is none."""
    gap: tuple[str, str]
    """Two numbers whose difference is what was learnt by heart: to images never seen, to as many that were."""
    numbers: tuple[Listed, ...]
    """Every number that it can put into a record."""
    code: Mapping[str, tuple[str, ...]]
    """Part -> modules that its numbers come from: part of every key (`bench.sweep.closure`)."""
    card: Callable[[dict[str, Any]], tuple[str, str]]
    """From a model card's values to what it says of the quality, and of the learning curve, in Markdown."""
    evaluation: Callable[[], Evaluation[Any]]
    """Makes what computes this task's numbers. Imports PyTorch."""

    @property
    def leading(self) -> Quantity:
        """The first of the leaders."""
        return self.quantity(self.leaders[0])

    def quantity(self, name: str) -> Quantity:
        """The quantity of that name. Raises KeyError."""
        found = {quantity.name: quantity for quantity in self.quantities}
        return found[name]

    def leader(self, names: Iterable[str]) -> str | None:
        """The first of the leaders among ``names``; None: nothing that judges was measured."""
        there = set(names)
        return next((name for name in self.leaders if name in there), None)
