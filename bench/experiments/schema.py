"""The tables of an experiment file. `quick.toml` explains every key."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_serializer

from bench.experiments.gate import Gate
from bench.experiments.wording import shown
from bench.tasks import DEFAULT, TASKS
from bench.workloads.spec import FACTORY, WorkloadSpec
from strategies.registry import SAFE_NAME

if TYPE_CHECKING:
    from bench.workloads.catalogue import Catalogue

DENSE = "dense"
"""The unpruned generator: always in, never swept."""

METRICS = TASKS[DEFAULT].metrics
"""The metrics of an experiment that names none. Agreement with dense and cost are always measured."""

OWN_EXTRACTOR = FACTORY
"""``module:function`` or ``file.py:function``: a feature network of the user's own."""

Target = Literal["params", "macs"]

Device = Literal["cpu", "cuda"]
"""Where latency can be measured; whether the machine has the device is seen when the run starts."""


# What a value may be. Each check returns the value or raises ValueError with a sentence that names it.


def _safe_name(value: str) -> str:
    if not SAFE_NAME.fullmatch(value) or ".." in value or len(value) > 100:
        raise ValueError(
            f"{shown(value)} is not usable in a path: at most 100 letters, digits and + . _ - (no ..), "
            "a letter or digit first."
        )
    return value


def checked_sparsity(value: float) -> float:
    """``value``, or ValueError: no sparsity that can be asked for."""
    if not 0 <= value < 1:
        raise ValueError(f"{value!r} is not in [0, 1).")
    if value == 0:
        raise ValueError(f"only {DENSE!r} has sparsity 0, and it is always in. Leave it out.")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number.")
    return value


def _at_least(low: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value < 2**63:
            raise ValueError(f"{value} is not a whole number from {low} to 2^63 - 1.")
        return value

    return check


T = TypeVar("T")


def _not_empty(value: tuple[T, ...]) -> tuple[T, ...]:
    if not value:
        raise ValueError("is empty; at least one is needed.")
    return value


Many = Annotated[tuple[T, ...], Field(strict=False), AfterValidator(_not_empty)]
SafeName = Annotated[str, AfterValidator(_safe_name)]
Sparsity = Annotated[float, AfterValidator(checked_sparsity)]
Knob = Annotated[float, AfterValidator(_finite)]


# The file, table by table.


class StrictTable(BaseModel):
    """A table with these keys and no others, whose values are not converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StrategyChoice(StrictTable):
    """A strategy of the experiment; ``levels`` replaces the sweep for it, ``[{"threshold": 0.2}]``."""

    name: str
    levels: Many[dict[str, Knob]] | None = None

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        """A bare name where that says it all."""
        if self.levels is None:
            return self.name
        return {"name": self.name, "levels": [dict(level) for level in self.levels]}


def _name_or_table(value: object) -> object:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict | StrategyChoice):
        raise ValueError(f"{shown(value)} is neither a name nor a table {{name = ..., levels = [...]}}.")
    return value


Choice = Annotated[StrategyChoice, BeforeValidator(_name_or_table)]


def _without_dense(value: tuple[StrategyChoice, ...]) -> tuple[StrategyChoice, ...]:
    others = tuple(choice for choice in value if choice.name != DENSE)
    return others or (StrategyChoice(name=DENSE),)


class Sweep(StrictTable):
    """``[experiment]``: the axes that span the cells."""

    name: SafeName
    plugins: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Modules (``package.module`` or ``file.py``) that bring strategies of the user's own."""
    workloads: Many[str]
    checkpoints: Many[str] = ("shipped",)
    strategies: Annotated[Many[Choice], AfterValidator(_without_dense)]
    """Without ``dense``, which is always in; ``dense`` alone where the file lists nothing else."""
    target: Target = "params"
    sparsities: Many[Sparsity] = (0.3, 0.5, 0.7, 0.9)
    recovery: Many[str] = ("bn-recalibrate",)
    seeds: Many[Annotated[int, AfterValidator(_at_least(0))]] = (0, 1, 2)


class Quality(StrictTable):
    """``[quality]``: how generated images are judged."""

    metrics: Many[str] = METRICS
    extractor: str = "workload"
    extractor_weights: str | None = None
    download: bool = False
    curve: bool = True
    num_images: Annotated[int, AfterValidator(_at_least(2))] = 1000


class Latency(StrictTable):
    """``[latency]``: where and how inference is timed."""

    enabled: bool = True
    devices: Many[Device] = ("cpu",)
    batches: Many[Annotated[int, AfterValidator(_at_least(1))]] = (1, 16)
    backends: Many[str] = ("eager",)


class Report(StrictTable):
    """``[report]``: how results are compared."""

    reference: str = "l1-weight-global"


class Experiment(StrictTable):
    """An experiment file as it was understood. Names are checked by `load_experiment`, not by the model."""

    sweep: Sweep = Field(alias="experiment")
    quality: Quality = Quality()
    latency: Latency = Latency()
    gate: Gate = Gate()
    report: Report = Report()
    workload: Annotated[tuple[WorkloadSpec, ...], Field(strict=False)] = ()
    """``[[workload]]``: the user's own."""

    @property
    def name(self) -> str:
        """The experiment's name, safe in paths."""
        return self.sweep.name

    @cached_property
    def catalogue(self) -> Catalogue:
        """The workloads that its names mean: built-in ones and its own. Imports torch, reads nothing."""
        from bench.workloads.builtin import BUILT_IN

        return BUILT_IN.with_own(self.workload)


TABLES: dict[str, type[BaseModel]] = {
    "experiment": Sweep,
    "quality": Quality,
    "latency": Latency,
    "gate": Gate,
    "report": Report,
}
"""The tables of the file."""


def dump(experiment: Experiment) -> dict[str, Any]:
    """The experiment as a JSON-able table for the manifest, every default written out.

    ``Experiment.model_validate`` of it gives an equal experiment.
    """
    return experiment.model_dump(mode="json", by_alias=True, exclude=set() if experiment.workload else {"workload"})
