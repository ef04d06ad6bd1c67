"""The tables of an experiment file. `quick.toml` explains every key."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

from bench.base.ranges import SEEDS, at_most, number_between, short_text, whole_between
from bench.experiments.gate import Batch, Gate
from bench.experiments.wording import shown
from bench.records.finishes import NO_FINISH
from bench.tasks import DEFAULT, TASKS
from bench.workloads.spec import FACTORY, PathText, WorkloadSpec
from strategies.constraints import (
    KEYS,
    Constraints,
    checked_at_least,
    checked_cap,
    checked_multiple,
    checked_pattern,
    checked_ratio,
)
from strategies.registry import SAFE_NAME

if TYPE_CHECKING:
    from bench.workloads.catalogue import Catalogue

DENSE = "dense"
"""The unpruned generator: always in, never swept."""

BEST = "best"
"""The reference that is no strategy: the best of each level."""

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
        raise ValueError(f"{shown(value)} is not in [0, 1).")
    if value == 0:
        raise ValueError(f"only {DENSE!r} has sparsity 0, and it is always in. Leave it out.")
    if not LEAST_SPARSITY <= value <= 1 - LEAST_SPARSITY:
        raise ValueError(
            f"{value!r} is not from {LEAST_SPARSITY:f} to {1 - LEAST_SPARSITY:f}: names and tables have six digits, "
            "which would show it as 0 or 1."
        )
    return value


LEAST_SPARSITY = 1e-6

MOST_IMAGES = 1_000_000
"""Generated images of one cell: their features stay in memory (8 GB of Inception's)."""


T = TypeVar("T")


def _not_empty(value: tuple[T, ...]) -> tuple[T, ...]:
    if not value:
        raise ValueError("is empty; at least one is needed.")
    return value


Many = Annotated[tuple[T, ...], Field(strict=False), AfterValidator(_not_empty)]
SafeName = Annotated[str, AfterValidator(_safe_name)]
Sparsity = Annotated[float, AfterValidator(checked_sparsity)]
MOST_KNOB = 1e6
Knob = Annotated[float, AfterValidator(number_between(-MOST_KNOB, MOST_KNOB, "a strategy's knob"))]
Name = Annotated[str, AfterValidator(short_text)]
Pattern = Annotated[str, AfterValidator(checked_pattern)]


# The file, table by table.


class StrictTable(BaseModel):
    """A table with these keys and no others, whose values are not converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StrategyChoice(StrictTable):
    """A strategy of the experiment; ``levels`` replaces the sweep for it, ``[{"threshold": 0.2}]``. The other keys are
    its constraints (`docs/constraints.md`): with some it goes by its label, and may stand beside itself without."""

    name: Name
    levels: Many[dict[str, Knob]] | None = None
    exclude: Many[Pattern] | None = None
    cap: Annotated[float, AfterValidator(checked_cap)] | None = None
    ratios: dict[Pattern, Annotated[float, AfterValidator(checked_ratio)]] | None = None
    multiple: Annotated[int, AfterValidator(checked_multiple)] | None = None
    at_least: Annotated[int, AfterValidator(checked_at_least)] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        Constraints.of(self._table)
        return self

    @property
    def constraints(self) -> Constraints:
        """What must hold besides the level."""
        return Constraints.of(self._table)

    @property
    def label(self) -> str:
        """What it is called in records, tables and paths."""
        return self.name + self.constraints.label

    @property
    def _table(self) -> dict[str, Any]:
        return {key: value for key in KEYS if (value := getattr(self, key)) is not None}

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        """A bare name where that says it all."""
        levels = {} if self.levels is None else {"levels": [dict(level) for level in self.levels]}
        others = levels | self.constraints.table
        return {"name": self.name, **others} if others else self.name


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
    plugins: Annotated[tuple[PathText, ...], Field(strict=False), AfterValidator(at_most(100, "plug-ins"))] = ()
    """Modules (``package.module`` or ``file.py``) that bring strategies of the user's own."""
    workloads: Many[Name]
    checkpoints: Many[PathText] = ("shipped",)
    strategies: Annotated[Many[Choice], AfterValidator(_without_dense)]
    """Without ``dense``, which is always in; ``dense`` alone where the file lists nothing else."""
    target: Target = "params"
    sparsities: Many[Sparsity] = (0.3, 0.5, 0.7, 0.9)
    recovery: Many[Name] = ("bn-recalibrate",)
    finish: Many[Name] = (NO_FINISH,)
    """What is done with each recovered network before it is deployed."""
    seeds: Many[Annotated[int, AfterValidator(whole_between(0, SEEDS))]] = (0, 1, 2)


class Quality(StrictTable):
    """``[quality]``: how generated images are judged."""

    metrics: Many[Name] = METRICS
    extractor: PathText = "workload"
    extractor_weights: PathText | None = None
    download: bool = False
    curve: bool = True
    num_images: Annotated[int, AfterValidator(whole_between(2, MOST_IMAGES, "features are kept in memory"))] = 1000


class Latency(StrictTable):
    """``[latency]``: where and how inference is timed."""

    enabled: bool = True
    devices: Many[Device] = ("cpu",)
    batches: Many[Batch] = (1, 16)
    backends: Many[Name] = ("eager",)


class Report(StrictTable):
    """``[report]``: how results are compared."""

    reference: Name = "l1-weight-global"
    """A strategy, dense, or the best of each level."""


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
