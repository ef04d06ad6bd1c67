"""Which differences a planned family of comparisons will be able to tell, by the variances of another run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.statistics import Design, Spread, first_levels, tellable
from bench.statistics.components import CALIBRATE, DEGREES, NO_EXCESS
from bench.tables.claim import LEVEL
from bench.tables.variances import Drawn, Fixed

TRAIN, PRUNE = "train", "prune"

BETWEEN_TRAININGS = (0.2, 0.4)
"""Standard deviations of the log ratio between trainings that a plan is shown for: no prior is known of it."""


@dataclass(frozen=True)
class PlannedStrategy:
    """One member of a planned family's groups."""

    name: str
    levels: int
    streams: frozenset[str]
    """That its networks depend on, or those of dense."""

    @property
    def drawn(self) -> bool:
        return bool(self.streams & {PRUNE, TRAIN})


@dataclass(frozen=True)
class PlannedFamily:
    """All comparisons with dense of one workload and recovery, for each checkpoint."""

    strategies: tuple[PlannedStrategy, ...]
    num_images: int
    seeds: int

    @property
    def comparisons(self) -> int:
        return sum(one.levels for one in self.strategies)

    def level(self, *, drawn: bool | None = None) -> float:
        """The strictest first level of its comparisons, of those that are drawn or not; NaN: there is none."""
        names = [one for one in self.strategies for _ in range(one.levels)]
        levels = zip(names, first_levels([one.name for one in names], LEVEL), strict=True)
        return min((level for one, level in levels if drawn is None or one.drawn == drawn), default=math.nan)


def told_of_fixed(variance: float, fixed: Fixed, measured_at: int, family: PlannedFamily) -> float:
    """The smallest difference that is told of networks that are not drawn, with this variance from ``measured_at``
    images of one seed."""
    calibrated = any(CALIBRATE in one.streams for one in family.strategies if not one.drawn)
    images, beyond, degrees = variance * measured_at / family.num_images, 0.0, math.inf
    if calibrated:
        prior = fixed.calibrated if fixed.calibrated is not None and family.seeds > 1 else NO_EXCESS
        beyond, degrees = variance * (max(1.0, prior.variance) - 1), prior.degrees
    return _told(Spread(images, beyond), Design(family.seeds, prior=degrees), family.level(drawn=False))


def told_ratio_of_drawn(drawn: Drawn, measured_at: int, family: PlannedFamily) -> float:
    """The smallest ratio that is told of networks that are drawn; infinite where there is one seed."""
    if family.seeds < 2:
        return math.inf
    spread = Spread(drawn.images * measured_at / family.num_images, drawn.variance - drawn.images)
    return _ratio(_told(spread, Design(family.seeds, prior=drawn.degrees), family.level(drawn=True)))


def told_ratio_of_trainings(sd: float, checkpoints: int, family: PlannedFamily) -> float:
    """The smallest ratio that is told over several trainings whose log ratios have this standard deviation."""
    spread = Spread(0.0, 0.0, sd**2)
    return _ratio(_told(spread, Design(1, checkpoints, prior=DEGREES[0]), family.level()))


def _told(spread: Spread, design: Design, level: float) -> float:
    return tellable(design.error(spread), design.degrees(spread), level)


def _ratio(log: float) -> float:
    return math.inf if log > 700 else math.exp(log)


def ends(values: Sequence[float]) -> tuple[float, float] | None:
    """The least and the most; None: there is none."""
    return (min(values), max(values)) if values else None
