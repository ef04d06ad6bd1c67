"""What was measured, as it stands on disk. `docs/results-format.md` explains every field."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from strategies.cut import LayerCut

SCHEMA_VERSION = 2
"""Rises when a reader of the old records would misread the new ones."""

Status = Literal["ok", "collapsed", "not-applicable", "infeasible"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cell(_Frozen):
    """One point of an experiment.

    ``level`` is ``{"sparsity": 0.7}``, or the strategy's own knob as in ``{"threshold": 0.2}``.
    """

    workload: str
    checkpoint: str = "shipped"
    strategy: str
    target: Literal["params", "macs"] = "params"
    level: dict[str, float]
    recovery: str
    seed: int

    @property
    def level_label(self) -> str:
        """``0.7`` or ``threshold-0.2``: the level as a short, path-safe word."""
        ((name, value),) = self.level.items()
        return f"{value:g}" if name == "sparsity" else f"{name}-{value:g}"

    @property
    def label(self) -> str:
        """The cell in one line, for progress and messages."""
        return f"{self.workload} {self.strategy} @{self.level_label} {self.recovery} seed {self.seed}"


class Number(_Frozen):
    """One measured value with all that is needed to know what may stand beside it."""

    value: float | int | None
    """None: could not be computed (the record says why in ``reason``)."""
    unit: str
    direction: Literal["lower", "higher", "none"]
    """Which way is better."""
    kind: Literal["exact", "stochastic"]
    version: str
    num_images: int | None = None
    note: str = ""
    """Why there is no value, where that is a finding of its own."""


class CurvePoint(TypedDict):
    """What was seen at one step of a training; losses are means over the steps since the point before."""

    step: int
    quality: float | None
    """The task's leading number of the averaged generator, BatchNorm recalibrated, on the first evaluation inputs;
    None: its output is not finite."""
    loss_g: float | None
    """Adversarial; None where there was none (distillation alone)."""
    loss_d: float | None
    loss_extra: NotRequired[float | None]
    """What G's loss had besides: distillation, and what a schedule adds."""
    accuracy_real: NotRequired[float | None]
    """Share of the real images that D named rightly in training, as it was before its own step."""
    accuracy_fake: NotRequired[float | None]
    logit_real: NotRequired[float | None]
    """D's mean logit of real images."""
    logit_fake: NotRequired[float | None]
    d_density: NotRequired[float | None]
    """Share of D's weights not held at zero, after the last of these steps."""
    balance: NotRequired[float | None]
    """The balance ratio that D's density followed last; None: it does not follow it."""


class Architecture(_Frozen):
    """The shape of the network that runs. Masked networks have the dense architecture."""

    hash: str
    widths: dict[str, tuple[int, int]]
    """``[out, in]`` channels of each convolution and linear layer."""
    kept: dict[str, dict[str, list[int]]] = Field(default_factory=dict)
    """For each resized module, the kept ``out`` and ``in`` indices; empty where nothing was removed physically."""
    bypassed: list[str] = Field(default_factory=list)
    """Modules that became the identity."""


class Cost(_Frozen):
    """What it took to make and to judge this cell, on the machine of its provenance."""

    prune_seconds: float = 0.0
    recover_seconds: float = 0.0
    measure_seconds: float = 0.0
    watch_seconds: float = 0.0
    """Taking the learning curve; not part of ``recover_seconds``."""
    train_steps: int = 0
    train_images: int = 0
    training_macs: int = 0
    """MACs of all forward and backward passes of G and D (backward counted as twice forward)."""
    peak_memory_bytes: int = 0
    """Highest resident memory of the worker process so far."""
    peak_device_bytes: int | None = None
    """CUDA: the most that the worker's tensors held on the device so far; CPU: None."""


class Provenance(_Frozen):
    """Where the numbers come from. Never part of a key."""

    checkpoint: str
    dense_key: str | None
    """``eval_key`` of the dense cell of the same recovery and seed that this one is compared with."""
    git: str | None
    libraries: dict[str, str]
    machine: dict[str, Any]
    device: str
    threads: int
    flags: list[str] = Field(default_factory=list)
    """What a reader should know: ``small-n``, ``low-rank-fid``, ``uncounted:<operator>``, ..."""


class Keys(_Frozen):
    prune: str
    eval: str


class Record(_Frozen):
    """All about one cell."""

    schema_version: int = SCHEMA_VERSION
    keys: Keys
    cell: Cell
    task: str = "generation"
    """What the workload is for."""
    status: Status
    reason: str = ""
    varies: str
    """The random streams that the numbers depend on, joined: ``eval``, ``calibrate+eval``, ..."""
    physical: bool = False
    """Whether tensors became smaller; False for masks."""
    architecture: Architecture | None = None
    achieved_params: float | None = None
    """Achieved sparsity over all conv and linear weights, 1 - kept / dense."""
    achieved_macs: float | None = None
    """1 - effective MACs / dense MACs."""
    scope: str = "all convolution and linear weights of the generator"
    layers: list[LayerCut] = Field(default_factory=list)
    numbers: dict[str, Number] = Field(default_factory=dict)
    curve: list[CurvePoint] = Field(default_factory=list)
    """How quality came back in training; empty for cells that were not trained."""
    cost: Cost = Field(default_factory=Cost)
    provenance: Provenance


class Failure(_Frozen):
    """A cell that raised. It is tried again by the next run."""

    schema_version: int = SCHEMA_VERSION
    keys: Keys
    cell: Cell
    error: str
    traceback: str
    attempt: int


LatencyStatus = Literal["ok", "invalid", "refused", "not-applicable", "unavailable"]
"""``invalid``: disturbed by other work; ``refused``: the outputs differ; ``not-applicable``: the backend does nothing
for the network or cannot take it; ``unavailable``: the machine lacks a package or a device."""

NOT_TIMED_YET: frozenset[LatencyStatus] = frozenset({"invalid", "unavailable"})
"""What the next run tries again."""


class LatencySample(_Frozen):
    """One block of calls: seconds a call of dense and of pruned, timed one after the other.

    ``interrupted``: involuntary context switches took more than 1 % of a block, so its wall time counts others' work.
    """

    dense_wall: float
    pruned_wall: float
    dense_cpu: float
    pruned_cpu: float
    interrupted: bool


class LatencyRecord(_Frozen):
    """Dense against one pruned architecture, timed in alternating blocks in one process."""

    schema_version: int = SCHEMA_VERSION
    latency_key: str
    workload: str
    checkpoint: str = "shipped"
    architecture: str
    """Hash of the pruned architecture; `Architecture.hash` of the records that it belongs to."""
    dense_architecture: str
    device: str
    device_model: str
    backend: str
    batch: int
    dtype: str
    threads: int
    flush_denormal: bool
    calls_per_block: int
    samples: list[LatencySample]
    status: LatencyStatus
    reason: str = ""
    dense_ms: float | None
    """Median milliseconds a call over the uninterrupted blocks (None: not ``ok``)."""
    pruned_ms: float | None
    dense_ms_min: float | None
    pruned_ms_min: float | None
    dense_ms_p95: float | None
    pruned_ms_p95: float | None
    speedup: float | None
    """Median over the uninterrupted pairs of dense / pruned wall time."""
    speedup_low: float | None
    """Lower end of the 95 % bootstrap interval of that median, over pairs of this one process."""
    speedup_high: float | None
    speedup_cpu: float | None
    """The same ratio of CPU times, over all pairs."""
    peak_memory_bytes: int | None = None
    """CUDA: highest allocated memory of the pruned network; CPU: None."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    dense_backend: str = ""
    """How the dense network ran, where not through ``backend`` itself."""
    zeros: str = ""
    """Hash of each layer's density, for backends that skip zeros (`bench.records.zeros`); empty for all others."""
    prepare_dense_seconds: float | None = None
    """From the network to its first output: exporting, compiling and the first call. Not part of any other time."""
    prepare_pruned_seconds: float | None = None
    output_error: float | None = None
    """Largest difference of an output from eager PyTorch in float32, as a share of the largest value; None: not
    compared, or not finite."""
    output_tolerance: float | None = None
    """The largest such difference that is timed."""


class LatencyFailure(_Frozen):
    """A timing that raised. It is tried again by the next run."""

    schema_version: int = SCHEMA_VERSION
    latency_key: str
    workload: str
    checkpoint: str
    architecture: str
    device: str
    backend: str
    batch: int
    error: str
    traceback: str
    attempt: int

    @property
    def label(self) -> str:
        """The timing in one line, for the report."""
        return f"{self.workload} latency of {self.architecture}, {self.device} {self.backend} batch {self.batch}"


class PlannedCell(_Frozen):
    """A cell of the manifest and where its record is."""

    cell: Cell
    keys: Keys


class Manifest(_Frozen):
    """What a run consists of: the experiment as it was understood, and its cells with their keys."""

    schema_version: int = SCHEMA_VERSION
    keys_version: int = 1
    """The version of the keys of its cells; where it is not today's, none of its records is used again."""
    experiment: dict[str, Any]
    run: str
    cells: list[PlannedCell]
    excluded: list[str] = Field(default_factory=list)
    """Combinations that were left out, in words."""
