"""``[gate]`` of an experiment: what `ganprune compare` gates, and by which rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from bench.tasks import DEFAULT, GATED, TASKS, quantity_of

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


def _between(low: float, high: float) -> Callable[[float], float]:
    def check(value: float) -> float:
        if not (math.isfinite(value) and low < value < high):
            raise ValueError(f"{value!r} is not between {low:g} and {high:g}.")
        return value

    return check


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
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"{number!r} is not a finite number.")
    return value


Level = Annotated[float | dict[str, float], AfterValidator(_level)]


class GatedCell(_Rules):
    """One gated cell, all its seeds."""

    workload: str
    strategy: str
    level: Level = 0.0
    """A sparsity, or ``{knob: value}``; left out for dense."""
    recovery: str | None = None
    """Needed where the experiment has several."""
    checkpoint: str | None = None
    """Needed where the experiment has several."""
    metrics: Annotated[tuple[GatedMetric, ...], Field(strict=False)] | None = None
    """The stochastic metrics gated for this cell, ``[]`` for none; by default those of the table."""


class GatedTiming(_Rules):
    """One gated ratio of times, HEAD / BASE."""

    workload: str
    strategy: str
    level: Level = 0.0
    recovery: str | None = None
    checkpoint: str | None = None
    batch: Annotated[int, Field(ge=1)] = 1
    device: Literal["cpu", "cuda"] = "cpu"
    backend: str = "eager"


Share = Annotated[float, AfterValidator(_between(0, 1))]


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


class PriorRule(_Rules):
    """What calibration says of the spread over seeds of a difference of logarithms (`docs/calibration.md`)."""

    sd: Annotated[float, AfterValidator(_between(0, 10))]
    degrees: Annotated[float, AfterValidator(_between(0, 1e6))]


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
    error: Annotated[float, AfterValidator(_between(0, 0.5))] = 0.005
    """Probability of any false regression in a whole comparison."""
    processes: Annotated[int, Field(ge=8, le=200)] = 20
    """Fresh processes that time all ratios; their spread is the uncertainty of a ratio."""
    max_seconds: Annotated[float, AfterValidator(_between(0, 86_400))] = 280.0
    """Of timing; no further process is begun when it would end after that."""

    def margin(self, metric: str) -> float:
        """The relative margin of a gated metric, or of ``time``."""
        return float(getattr(self.margins, metric))
