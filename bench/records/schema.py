"""What was measured, as it stands on disk.

The docstrings of the fields are the source of `docs/results-format.md` (`make docs`).
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from bench.records.finishes import NO_FINISH, after_pruning
from strategies.constraints import Constraints
from strategies.cut import LayerCut

SCHEMA_VERSION = 2
"""Rises when a reader of the old records would misread the new ones."""

Status = Literal["ok", "collapsed", "not-applicable", "infeasible"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cell(_Frozen):
    """One point of an experiment."""

    workload: str
    """The GAN that is pruned."""
    checkpoint: str = "shipped"
    """Which training of it: ``shipped``, ``seed-K`` of those that come with it, or the folder of one."""
    strategy: str
    """How it is pruned, with the label of its constraints behind it: ``l1-channel-global+x8``; ``dense`` is the
    unpruned generator."""
    target: Literal["params", "macs"] = "params"
    """What a sparsity is matched on: weights of the generator, or multiply-accumulates."""
    level: dict[str, float] = Field(min_length=1, max_length=1)
    """What was asked for: ``{"sparsity": 0.7}``, or the strategy's own knob as in ``{"threshold": 0.2}``."""
    recovery: str
    """What is done for the pruned network: ``none``, ``bn-recalibrate``, ``finetune-200``, ..."""
    finish: str = NO_FINISH
    """What is done with the recovered network before it is deployed: ``none``, ``bf16``, ``int8-onnx``,
    ``int8-openvino``."""
    seed: int = Field(ge=0, lt=2**63)
    """Feeds the streams that the record names in ``varies``."""
    constraints: dict[str, Any] = Field(default_factory=dict)
    """What must hold besides the level, by the keys of the strategies table; empty: nothing."""

    @field_validator("constraints")
    @classmethod
    def _in_one_order(cls, table: dict[str, Any]) -> dict[str, Any]:
        return Constraints.of(table).table

    @property
    def base(self) -> str:
        """The strategy's name without its constraints."""
        return self.strategy.removesuffix(Constraints.of(self.constraints).label)

    @property
    def level_label(self) -> str:
        """``0.7`` or ``threshold-0.2``: the level as a short, path-safe word."""
        ((name, value),) = self.level.items()
        return f"{value:g}" if name == "sparsity" else f"{name}-{value:g}"

    @property
    def after(self) -> str:
        """``finetune-200`` or ``finetune-200+int8-onnx``: all that is done after pruning, ``recovery`` in tables."""
        return after_pruning(self.recovery, self.finish)

    @property
    def label(self) -> str:
        """The cell in one line, for progress and messages."""
        return f"{self.workload} {self.strategy} @{self.level_label} {self.after} seed {self.seed}"


class Number(_Frozen):
    """One measured value with all that is needed to know what may stand beside it."""

    value: float | int | None
    """Null: could not be computed; ``note`` or the record's ``reason`` says why."""
    unit: str
    """Of ``value``: ``parameters``, ``MACs``, ``bytes``, ``dB``, ..."""
    direction: Literal["lower", "higher", "none"]
    """Which way is better."""
    kind: Literal["exact", "stochastic"]
    """``exact`` has no noise: it is compared by equality."""
    version: str
    """How it was measured: formula, extractor, number of images, reference. Numbers of different versions are never
    put side by side."""
    num_images: int | None = None
    """Over how many generated images; null where it needs none."""
    error: float | None = None
    """Standard error of ``value`` that comes from the images alone, in ``unit``; null: no noise, or not known."""
    note: str = ""
    """Why there is no value, where that is a finding of its own."""


class CurvePoint(TypedDict):
    """What was seen at one step of a training; losses are means over the steps since the point before."""

    step: int
    """Steps done so far; 0 is before the training."""
    quality: float | None
    """The task's leading number of the averaged generator, BatchNorm recalibrated, on the first evaluation inputs;
    None: its output is not finite."""
    loss_g: float | None
    """Adversarial; None where there was none (distillation alone)."""
    loss_d: float | None
    """D's loss; None where there was no step yet, or D was not trained."""
    loss_extra: NotRequired[float | None]
    """What G's loss had besides: distillation, and what a schedule adds."""
    accuracy_real: NotRequired[float | None]
    """Share of the real images that D named rightly in training, as it was before its own step."""
    accuracy_fake: NotRequired[float | None]
    """Share of the generated images that D named rightly, at the same moment."""
    logit_real: NotRequired[float | None]
    """D's mean logit of real images."""
    logit_fake: NotRequired[float | None]
    """D's mean logit of generated images."""
    d_density: NotRequired[float | None]
    """Share of D's weights not held at zero, after the last of these steps."""
    balance: NotRequired[float | None]
    """The balance ratio that D's density followed last; None: it does not follow it."""


class Architecture(_Frozen):
    """The shape of the network that runs. Masked networks have the dense architecture."""

    hash: str
    """16 digits of SHA-256 of ``widths`` and of the code that makes the network. Timings refer to it."""
    widths: dict[str, tuple[int, int]]
    """``[out, in]`` channels of each convolution and linear layer."""
    kept: dict[str, dict[str, list[int]]] = Field(default_factory=dict)
    """For each resized module, the kept ``out`` and ``in`` indices; empty where nothing was removed physically."""
    bypassed: list[str] = Field(default_factory=list)
    """Modules that became the identity."""


class Cost(_Frozen):
    """What it took to make and to judge this cell, on the machine of its provenance."""

    prune_seconds: float = 0.0
    """Scoring and cutting. Cells that share a cut (other seeds, where the strategy draws nothing) all carry its
    seconds; of the levels that share a score, the one that came first carries the scoring."""
    recover_seconds: float = 0.0
    """Recalibration or training, also what an interrupted one took before it was continued."""
    measure_seconds: float = 0.0
    """Generating the evaluation images, judging them, counting the network; where dense's images are not kept, also
    making those."""
    watch_seconds: float = 0.0
    """Taking the learning curve; not part of ``recover_seconds``."""
    train_steps: int = 0
    """Steps of the recovery's training."""
    train_images: int = 0
    """Training images shown, repeats counted; none without adversarial loss."""
    training_macs: int = 0
    """MACs of all forward and backward passes of G and D (backward counted as twice forward)."""
    peak_memory_bytes: int = 0
    """Highest resident memory of the worker process so far."""
    peak_device_bytes: int | None = None
    """CUDA: the most that the worker's tensors held on the device so far; CPU: None."""


class Provenance(_Frozen):
    """Where the numbers come from. Never part of a key."""

    checkpoint: str
    """Hash of the trained weights."""
    dense_key: str | None
    """``eval_key`` of the dense cell of the same recovery and seed that this one is compared with."""
    git: str | None
    """Revision of the code that measured, ``-dirty`` where files differed; null outside a checkout."""
    libraries: dict[str, str]
    """Versions of Python and of the packages that numbers depend on."""
    machine: dict[str, Any]
    """``device, system, architecture, cores``: what kind of machine, no names."""
    device: str
    """``cpu`` or ``cuda``: where the cell was made and judged."""
    threads: int
    """Of the process that measured."""
    flags: list[str] = Field(default_factory=list)
    """What a reader should know: ``small-n`` (fewer than 10,000 images), ``not-repeatable`` (the generator draws by
    itself), other words of the task's (`docs/method.md`), ``uncounted:<operator>`` (an operator that the MAC counter
    has no formula for), ``fvcore-unsupported:<operator>``; of a finish ``int8-products:1-of-4`` (so many products run
    in 8 bits), ``float-product:<operator>`` (a product that does not)."""


class Keys(_Frozen):
    """What a record answers to. A finished key is never run again."""

    prune: str
    """SHA-256 of what defines the network: checkpoint, strategy, level, recovery, the seeds of the streams that it
    uses, the code."""
    eval: str
    """SHA-256 of what defines the numbers: ``prune``, the evaluation seed, the versions of the metrics."""


class Record(_Frozen):
    """All about one cell."""

    schema_version: int = SCHEMA_VERSION
    """Of this file; a reader refuses another."""
    keys: Keys
    """What identifies the cell; the file name ends in the first 16 digits of ``keys.eval``."""
    cell: Cell
    """Which point of the experiment it is."""
    task: str = "generation"
    """What the workload is for, by name: `bench.tasks`."""
    status: Status
    """``ok``; ``collapsed`` (the output is not finite, constant, or without diversity beside dense);
    ``not-applicable`` (the strategy does not fit the workload or the recovery); ``infeasible`` (the level is out of
    reach)."""
    reason: str = ""
    """Why, where the status is not ``ok``."""
    varies: str
    """The random streams that the numbers depend on, joined: ``eval``, ``calibrate+eval``, ..."""
    physical: bool = False
    """Whether tensors became smaller; False for masks."""
    architecture: Architecture | None = None
    """Of the network that was measured; null where nothing was."""
    achieved_params: float | None = None
    """1 - non-zero / dense entries of all convolution and linear weights, counted on the network that was measured."""
    achieved_macs: float | None = None
    """1 - effective MACs / dense MACs."""
    scope: str = "all convolution and linear weights of the generator"
    """What sparsity is counted over."""
    layers: list[LayerCut] = Field(default_factory=list)
    """Every convolution and linear layer of the dense generator."""
    numbers: dict[str, Number] = Field(default_factory=dict)
    """By metric, as in ``params``, ``macs_dense`` or ``METRIC[judge]``; `docs/method.md` says what each is.
    Bit-identical when the same cell is measured again on the same machine with the same torch and threads."""
    curve: list[CurvePoint] = Field(default_factory=list)
    """How quality came back in training; empty for cells that were not trained."""
    cost: Cost = Field(default_factory=Cost)
    """What it took; not repeatable."""
    provenance: Provenance
    """Where the numbers come from."""


class Failure(_Frozen):
    """A cell that raised. It is tried again by the next run."""

    schema_version: int = SCHEMA_VERSION
    """Of this file; a reader refuses another."""
    keys: Keys
    """Of the record that is missing."""
    cell: Cell
    """The cell that raised."""
    error: str
    """The exception's type and message."""
    traceback: str
    """Where it was raised, as Python prints it."""
    attempt: int
    """How often the cell was tried so far."""


LatencyStatus = Literal["ok", "invalid", "refused", "not-applicable", "unavailable"]
"""What each means: `LatencyRecord.status`."""

NOT_TIMED_YET: frozenset[LatencyStatus] = frozenset({"invalid", "unavailable"})
"""What the next run tries again."""


class LatencySample(_Frozen):
    """One pair of blocks of calls, dense and pruned, timed one after the other."""

    dense_wall: float
    """Wall seconds a call of dense, mean over the block."""
    pruned_wall: float
    """Wall seconds a call of pruned."""
    dense_cpu: float
    """CPU seconds a call of dense; on CUDA those of the host."""
    pruned_cpu: float
    """CPU seconds a call of pruned."""
    interrupted: bool
    """Whether involuntary context switches took more than 1 % of either block, so that its wall time counts others'
    work; with several threads, and on CUDA, whether there were any."""
    build: int = 0
    """Which build of the two networks it belongs to; dense was built first where this is 0 or 3 modulo 4."""


class LatencyRecord(_Frozen):
    """Dense against one pruned architecture in one process: both built anew several times, and timed in alternating
    blocks."""

    schema_version: int = SCHEMA_VERSION
    """Of this file; a reader refuses another."""
    latency_key: str
    """SHA-256: both architectures, the inputs, the device's model, backend, batch, type, threads; where the backend
    skips zeros also ``zeros``."""
    workload: str
    """Whose weights were timed."""
    checkpoint: str = "shipped"
    """Which training of it."""
    architecture: str
    """Hash of the pruned architecture; `Architecture.hash` of the records that it belongs to."""
    dense_architecture: str
    """Hash of the dense architecture; equal to ``architecture`` where dense was timed against itself, which shows the
    noise of the timing."""
    device: str
    """``cpu`` or ``cuda``."""
    device_model: str
    """The name of the processor or GPU."""
    backend: str
    """How the pruned network ran: ``eager``, ``compile``, ``onnx``, ...; of a finished one ``bf16-weights``,
    ``int8-onnx``, ``int8-openvino``."""
    batch: int
    """Inputs in each call."""
    dtype: str
    """What the pruned network computes in: ``float32``, ``bfloat16``, ..."""
    threads: int
    """Of the process that timed."""
    flush_denormal: bool
    """Whether denormal numbers were taken for 0."""
    calls_per_block: int
    """Calls in a block of the pruned network in the first build: as many as take about 15 ms, at most
    twenty."""
    samples: list[LatencySample]
    """Every pair of blocks, the interrupted ones too."""
    status: LatencyStatus
    """``ok``; ``invalid`` (disturbed by other work: of the builds with one of the two first, fewer than three pairs
    were left alone in half or more; timed again by the next run); ``refused`` (an output differs from eager's);
    ``not-applicable`` (the backend does nothing for the network or cannot take it); ``unavailable`` (the machine lacks
    a package or a device). Only ``ok`` has times."""
    reason: str = ""
    """Why, where the status is not ``ok``."""
    dense_ms: float | None
    """Median milliseconds a call over the uninterrupted blocks; null, like the other times, where not ``ok``."""
    pruned_ms: float | None
    """The same of the pruned network."""
    dense_ms_min: float | None
    """Milliseconds a call of the fastest uninterrupted block."""
    pruned_ms_min: float | None
    """The same of the pruned network."""
    dense_ms_p95: float | None
    """95th percentile over uninterrupted blocks, interpolated: no percentile of single calls."""
    pruned_ms_p95: float | None
    """The same of the pruned network."""
    speedup: float | None
    """Dense / pruned wall time: of a build the median over its uninterrupted pairs, of all builds the geometric mean,
    dense first and pruned first weighing the same."""
    speedup_low: float | None
    """Lower end of its 95 % t interval by the spread between builds of this one process."""
    speedup_high: float | None
    """Its upper end."""
    speedup_cpu: float | None
    """The same of CPU times over all pairs, there even where ``invalid``; null on CUDA."""
    peak_memory_bytes: int | None = None
    """CUDA: highest allocated memory of the pruned network; CPU: None."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """``libraries`` (those of the backend too) and ``machine``, as in a record's."""
    dense_backend: str = ""
    """How the dense network ran: as ``backend``, but ``eager`` for ``csr`` and ``eager in float16`` for ``nm-2-4``, and
    beside a finished network in float32 on the same runtime, exported before."""
    zeros: str = ""
    """Hash of each layer's density, for backends that skip zeros (`bench.records.zeros`); empty for all others."""
    prepare_dense_seconds: float | None = None
    """From the network to its first output: exporting, compiling and the first call. Not part of any other time."""
    prepare_pruned_seconds: float | None = None
    """The same of the pruned network."""
    output_error: float | None = None
    """Largest difference of an output from eager PyTorch in float32, as a share of the largest value; null: not
    compared (``eager`` itself), or not finite."""
    output_tolerance: float | None = None
    """The largest such difference that is timed."""


class LatencyFailure(_Frozen):
    """A timing that raised. It is tried again by the next run."""

    schema_version: int = SCHEMA_VERSION
    """Of this file; a reader refuses another."""
    latency_key: str
    """Of the timing that is missing."""
    workload: str
    """Whose weights were to be timed."""
    checkpoint: str
    """Which training of it."""
    architecture: str
    """Hash of the pruned architecture."""
    device: str
    """``cpu`` or ``cuda``, as asked for."""
    backend: str
    """As asked for."""
    batch: int
    """Inputs in each call."""
    error: str
    """The exception's type and message."""
    traceback: str
    """Where it was raised, as Python prints it."""
    attempt: int
    """How often it was tried so far."""

    @property
    def label(self) -> str:
        """The timing in one line, for the report."""
        return f"{self.workload} latency of {self.architecture}, {self.device} {self.backend} batch {self.batch}"


class RunEnvironment(TypedDict):
    """Where a run was made, for the report; never part of a key."""

    libraries: dict[str, str]
    """Versions of Python and of the packages that numbers depend on; resuming under others is noted."""
    machine: dict[str, Any]
    """``device, system, architecture, cores``: what kind of machine, no names."""
    git: str | None
    """Revision of the code that ran, ``-dirty`` where files differed; null outside a checkout."""
    jobs: int
    """Worker processes."""
    threads: int
    """Of each."""
    device: str
    """What ``--device`` said: ``cpu`` or ``cuda``."""
    started: str
    """When the run was begun or last continued, UTC."""


class PlannedCell(_Frozen):
    """A cell of the manifest and where its record is."""

    cell: Cell
    """The cell."""
    keys: Keys
    """Those of its record."""


class Manifest(_Frozen):
    """What a run consists of: the experiment as it was understood, and its cells with their keys."""

    schema_version: int = SCHEMA_VERSION
    """Of this file; a reader refuses another."""
    keys_version: int = 1
    """The version of the keys of its cells; where it is not today's, none of its records is used again."""
    experiment: dict[str, Any]
    """The TOML as understood: defaults filled in, with its ``[[workload]]`` tables where it has any."""
    run: str
    """The name of the run."""
    cells: list[PlannedCell]
    """Readers take exactly these: records of earlier definitions may still lie in ``cells/`` and are not read."""
    excluded: list[str] = Field(default_factory=list)
    """Combinations that were left out, in words; empty at present: what does not fit has a record that says so."""
