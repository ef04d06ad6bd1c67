"""``[gate]`` of an experiment: what `ganprune compare` gates, and by which rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from bench.base.ranges import number_between, short_text, whole_between
from bench.statistics import NO_EXCESS, Difference, Prior
from bench.tasks import DEFAULT, GATED, TASKS, quantity_of
from bench.workloads.spec import MOST_IN_BATCH, PathText

MAX_CELLS = 12
"""More gated cells would cost each of them its power: all share one family-wise error."""
MAX_TIMINGS = 6
"""More gated ratios would not fit into five minutes."""


def _gated(value: str) -> str:
    if value not in GATED:
        raise ValueError(f"{value!r} is not {' or '.join(map(repr, GATED))}.")
    return value


GatedMetric = Annotated[str, AfterValidator(_gated)]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _at_most(most: int, what: str) -> Callable[[tuple[object, ...]], tuple[object, ...]]:
    def check(value: tuple[object, ...]) -> tuple[object, ...]:
        if len(value) > most:
            raise ValueError(f"{len(value)} {what}; at most {most}, because all of them share one error rate.")
        return value

    return check


def _level(value: object) -> object:
    if isinstance(value, dict) and len(value) != 1:
        raise ValueError("a level is one knob and its value, {threshold = 0.1}.")
    number = next(iter(value.values())) if isinstance(value, dict) else value
    if isinstance(number, float):
        number_between(-1e6, 1e6, "a sparsity or a strategy's knob")(number)
    return value


Level = Annotated[float | dict[str, float], AfterValidator(_level)]
Name = Annotated[str, AfterValidator(short_text)]
Batch = Annotated[int, AfterValidator(whole_between(1, MOST_IN_BATCH, "inputs of one call"))]


class GatedCell(_Rules):
    """One gated cell, all its seeds."""

    workload: Name
    strategy: Name
    level: Level = 0.0
    """A sparsity, or ``{knob: value}``; left out for dense."""
    recovery: Name | None = None
    """Needed where the experiment has several."""
    checkpoint: PathText | None = None
    """Needed where the experiment has several."""
    metrics: Annotated[tuple[GatedMetric, ...], Field(strict=False)] | None = None
    """The stochastic metrics gated for this cell, ``[]`` for none; by default those of the table."""


class GatedTiming(_Rules):
    """One gated ratio of times, HEAD / BASE."""

    workload: Name
    strategy: Name
    level: Level = 0.0
    recovery: Name | None = None
    checkpoint: PathText | None = None
    batch: Batch = 1
    device: Literal["cpu", "cuda"] = "cpu"
    backend: Name = "eager"


Share = Annotated[float, AfterValidator(number_between(1e-9, 0.999999, "a relative difference"))]


TIME_MARGIN = 0.01

if TYPE_CHECKING:

    class Margins(_Rules):
        """Relative differences that do not matter in practice: of each tested metric, and of ``time``."""

        time: Share = TIME_MARGIN

else:
    Margins = create_model(
        "Margins",
        __base__=_Rules,
        __doc__="Relative differences that do not matter in practice.",
        **{name: (Share, quantity_of(name).margin) for name in GATED},
        time=(Share, TIME_MARGIN),
    )


Degrees = Annotated[float, AfterValidator(number_between(1e-3, 1e6, "degrees of freedom"))]


class PriorRule(_Rules):
    """What calibration says of the spread over seeds of a difference of logarithms (`docs/calibration.md`)."""

    sd: Annotated[float, AfterValidator(number_between(1e-9, 10, "of logarithms"))]
    """Where networks are drawn, and where nothing is known of the images."""
    degrees: Degrees
    """What ``sd`` is worth."""
    excess: Annotated[float, AfterValidator(number_between(1e-3, 1e3, "a ratio of variances"))] = NO_EXCESS.variance
    """Where nothing but calibration inputs is drawn: the variance over seeds, divided by that from the images."""
    excess_degrees: Degrees = NO_EXCESS.degrees
    """What ``excess`` is worth."""

    def of(self, found: Difference) -> Prior:
        """Of the class that a comparison belongs to."""
        if found.calibrated:
            return Prior(self.excess, self.excess_degrees)
        return Prior(self.sd**2, self.degrees)


class Gate(_Rules):
    """The table as a whole. Without cells nothing is gated."""

    cells: Annotated[tuple[GatedCell, ...], Field(strict=False), AfterValidator(_at_most(MAX_CELLS, "cells"))] = ()
    latency: Annotated[
        tuple[GatedTiming, ...], Field(strict=False), AfterValidator(_at_most(MAX_TIMINGS, "latency ratios"))
    ] = ()
    metrics: Annotated[tuple[GatedMetric, ...], Field(strict=False)] = TASKS[DEFAULT].gated
    margins: Margins = Margins()
    prior: dict[GatedMetric, PriorRule] = Field(default_factory=dict)
    """Without one, a cell has only the variance of its own few seeds, and seldom any power."""
    error: Annotated[float, AfterValidator(number_between(1e-9, 0.499, "a probability"))] = 0.005
    """Probability of any false regression in a whole comparison."""
    processes: Annotated[int, AfterValidator(whole_between(8, 200, "fresh processes"))] = 20
    """Fresh processes that time all ratios; their spread is the uncertainty of a ratio."""
    max_seconds: Annotated[float, AfterValidator(number_between(1e-3, 86_400, "seconds, a day at most"))] = 280.0
    """Of timing; no further process is begun when it would end after that."""

    def margin(self, metric: str) -> float:
        """The relative margin of a gated metric, or of ``time``."""
        return float(getattr(self.margins, metric))
