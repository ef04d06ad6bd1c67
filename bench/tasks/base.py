"""What a workload is for: which numbers judge it, and what may be said of their differences.

A `Task` is a description: names, units, scales, words. Tables, statistics, the gate and the report know tasks only
through it, so none of them names a metric, and none of them imports PyTorch. What computes the numbers is the task's
`Evaluation`, in a module of its own that is imported where a network is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.tasks.evaluation import Evaluation

Direction = Literal["lower", "higher", "none"]

Scale = Literal["log", "linear", "logit", "share"]
"""On which differences are compared: where errors grow with the value, its logarithm; ``share``: as they are, and what
may be lost is a share of dense's value (a quantity that may fall to 0 and below has no logarithm)."""

TINY = 1e-12
"""A value of exactly 0 has no logarithm; the smallest that is told apart keeps its rank."""


LEAST_OF_FLOOR = 0.1
"""A margin is never less than this share of the noise floor."""

DENSE_REFERENCE = "dense-reference"
"""The flag of records whose reference is what the dense network itself makes: no real data is in any of their
numbers."""


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
    """What may be lost where a network is said to hold the quality: a share of dense's value where the scale is
    `relative`, an amount on the others. None: a share of it is no margin, so that claim is never made of it."""
    decimals: int = 3
    habit: int | None = None
    """The power of ten that papers show it times, where its values are far below 1; None: it is shown as it is."""

    tolerated: float | None = None
    """How much worse than dense still wins area in the hypervolume: a factor on the log scale, an amount on the others.
    None: it is given no hypervolume."""
    bounds: tuple[float, ...] = ()
    """The losses, meant as `margin` is, that the table of costs *at equal quality* has rows for."""
    about: str = ""
    """What a reader of its column in the main table has to know."""
    caution: str = ""
    """What a reader of any of its values has to know; said under "Method" where it was measured."""
    no_margin: str = ""
    """Why `margin` is None: the first half of the sentence that no network is said to hold the quality of dense."""

    at_n: str = ""
    """The quantity of the same images before the bias of their number is taken off: it is positive, so it has
    logarithms; empty: none was taken off."""
    errors_of: str = ""
    """The quantity whose images' contributions are this one's as well; empty: it has its own, or none."""

    @property
    def relative(self) -> bool:
        """Whether what is lost is a share of dense's value; it is drawn on a logarithmic axis where it is positive."""
        return self.scale in ("log", "share")

    @property
    def sign(self) -> float:
        """What a difference is multiplied by so that less is better: -1 where higher is better, else 1."""
        return -1.0 if self.direction == "higher" else 1.0

    def limit(self, dense: float, margin: float) -> float:
        """The worst value that loses no more than ``margin`` against ``dense``."""
        if self.scale == "log":
            return dense * (1 + margin) if self.sign > 0 else dense / (1 + margin)
        if self.scale == "share":
            return dense + self.sign * margin * abs(dense)
        if self.scale == "logit":
            logit = self.on_scale(dense) + self.sign * margin
            return 1 / (1 + math.exp(-logit))
        return dense + self.sign * margin

    def allowance(self, margin: float, dense: float, floor: float = math.nan) -> float:
        """What a loss of ``margin`` is on the scale of differences, beside ``dense``: of a share at least a tenth of
        what a perfect network would have (NaN: not known), so that a dense network near it does not forbid
        everything."""
        if self.scale != "share":
            return self.at_most(margin)
        least = 0.0 if math.isnan(floor) else LEAST_OF_FLOOR * abs(floor)
        return max(margin * abs(dense), least)

    def holds(self, value: float, limit: float) -> bool:
        """Whether ``value`` is no worse than ``limit``."""
        return value >= limit if self.sign < 0 else value <= limit

    def amount(self, margin: float) -> str:
        """``margin`` in words: ``5%`` of dense's value, or ``0.1 dB``."""
        return f"{margin:.0%}" if self.relative else f"{margin:g} {self.unit}".strip()

    def allowed(self, margin: float) -> str:
        """What a limit is called beside dense: ``+10 %`` where more is worse, ``/ 1.1`` or ``−0.5`` where less is."""
        if self.relative:
            return f"+{100 * margin:g} %" if self.sign > 0 else f"/ {1 + margin:g}"
        return f"{'+' if self.sign > 0 else '−'}{margin:g}"

    @property
    def tested(self) -> str:
        """What tests are of: the title, with its scale where that is not the value itself."""
        return f"{self.scale} {self.title}" if self.scale in ("log", "logit") else self.title

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

    def error(self, value: float, on_scale: float) -> float:
        """A standard error on the scale, in the unit of ``value``, to first order."""
        if self.scale == "log":
            return abs(value) * on_scale
        return abs(value * (1 - value)) * on_scale if self.scale == "logit" else on_scale

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
    watched: str
    """The quantity of learning curves, on few images; model cards and lists of checkpoints name it too."""
    metrics: tuple[str, ...]
    """What an experiment measures that names no metrics."""
    known_metrics: tuple[str, ...]
    """What an experiment may ask for; of what it asks for, each workload is measured by its own task's."""
    gated: tuple[str, ...]
    """What the gate tests; all else with noise is for information."""
    bound: str
    """The quantity of *at equal quality*: how little is enough to hold it."""
    area: str
    """The quantity of the hypervolume; it has to be positive."""
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
    code_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Metric -> modules that its numbers come from besides: part of the keys of cells that measure it."""
    public_judge: str = ""
    """The judge whose numbers go by the plain title in papers; it leads the tables where several judged."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """What a flag of its records says to a reader of the report, in a sentence without a full stop."""
    of_dense: Mapping[str, str] = field(default_factory=dict)
    """Names of columns -> what is said of them where the reference is no real data but dense's own output
    (`DENSE_REFERENCE`)."""
    floor_words: tuple[str, str] = ("", "")
    """What the floor is called in a figure: with a real reference, and with one of dense's own output."""
    also: tuple[tuple[str, str], ...] = ()
    """Numbers that are no quantity of their own: the names of their columns, and what their reader has to know."""

    @property
    def watching(self) -> Quantity:
        """What a training is watched by."""
        return self.quantity(self.watched)

    def quantity(self, name: str) -> Quantity:
        """The quantity of that name. Raises KeyError."""
        found = {quantity.name: quantity for quantity in self.quantities}
        return found[name]

    @property
    def bounding(self) -> Quantity:
        """The quantity of *at equal quality*."""
        return self.quantity(self.bound)

    def leader(self, names: Iterable[str]) -> str | None:
        """The first of the leaders among ``names``; None: nothing that judges was measured."""
        there = set(names)
        return next((name for name in self.leaders if name in there), None)
