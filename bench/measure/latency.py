"""How long a call takes: dense and pruned built and timed in turn, in one process, on the machine at hand.

Both are built anew six times (`bench.measure.builds`), each time prepared by the backend and timed in alternating
blocks of about 15 ms. The speed-up is the mean over the builds, its interval is by the spread between them. Where too
few builds were left alone the measurement is ``invalid`` and says why.

Cost of the defaults on a quiet machine: some 0.2 s a build, 1 to 2 s a pair; some 60 s for the 44 pairs of `quick`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.artifact.outputs import difference
from bench.base.machine import device_model
from bench.base.precision import tf32
from bench.measure.backends import Backend, Inputs, Prepare
from bench.measure.backends.eager import EAGER, eager
from bench.measure.blocks import Call, Plan
from bench.measure.builds import (
    BUILDS,
    BUILDS_SECONDS,
    MIN_CLEAN,
    ROUNDS,
    TRIES,
    Build,
    alternate,
    apart,
    balanced,
    half_width,
    time_built,
    timer_of,
)
from bench.records import LatencySample, LatencyStatus
from strategies.base import NotApplicable


def expected_seconds(call: float, plan: Plan = ROUNDS, builds: int = BUILDS) -> float:
    """How long a quiet machine times two networks that take ``call`` seconds a call each."""
    round_seconds = sum(apart(call, call)) * max(call, 1e-9)
    rounds = min(max(plan.rounds, math.ceil(plan.min_seconds / round_seconds)), plan.max_rounds)
    return builds * (rounds * round_seconds + 2 * (plan.warmup + 2 * TRIES) * call)


@dataclass(frozen=True)
class Summary:
    """What the samples say; the names and meanings of `bench.records.LatencyRecord`. Milliseconds a call."""

    status: LatencyStatus
    reason: str = ""
    dense_ms: float | None = None
    pruned_ms: float | None = None
    dense_ms_min: float | None = None
    pruned_ms_min: float | None = None
    dense_ms_p95: float | None = None
    """95th percentile of the blocks' means, interpolated: no percentile of single calls."""
    pruned_ms_p95: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    speedup_cpu: float | None = None
    """The same of CPU times over all pairs; there even when the measurement is invalid."""


def summarise(builds: Sequence[Build]) -> Summary:
    """Medians, minima and the speed-up with its interval, over the uninterrupted pairs that the clock saw."""
    cpu = balanced(builds, lambda build: build.log_cpu_ratio)
    speedup_cpu = None if cpu is None else math.exp(-cpu)
    ratio, half = (take(builds, lambda build: build.log_ratio) for take in (balanced, half_width))
    if ratio is None or half is None:
        good = sum(build.log_ratio is not None for build in builds)
        reason = (
            f"in {good} of {len(builds)} builds of both networks {MIN_CLEAN} pairs or more ran without interruption, "
            "more than half of those with dense first and of those with pruned first are needed: "
            "the machine is busy with other work"
        )
        return Summary("invalid", reason, speedup_cpu=speedup_cpu)
    clean = [sample for build in builds for sample in build.clean]
    dense = 1_000 * np.array([s.dense_wall for s in clean])
    pruned = 1_000 * np.array([s.pruned_wall for s in clean])
    return Summary(
        status="ok",
        dense_ms=float(np.median(dense)),
        pruned_ms=float(np.median(pruned)),
        dense_ms_min=float(dense.min()),
        pruned_ms_min=float(pruned.min()),
        dense_ms_p95=float(np.percentile(dense, 95)),
        pruned_ms_p95=float(np.percentile(pruned, 95)),
        speedup=math.exp(-ratio),
        speedup_low=math.exp(-ratio - half),
        speedup_high=math.exp(-ratio + half),
        speedup_cpu=speedup_cpu,
    )


@dataclass(frozen=True)
class Prepared:
    """A network that is ready to be timed, and what getting there took."""

    call: Call
    network: nn.Module
    seconds: float
    """From the network to its first output: exporting, compiling, and the first call."""
    error: float | None
    """How far its output is from eager PyTorch in float32, as a share of the largest value; None for eager itself."""


def prepare(backend: Prepare, module: nn.Module, inputs: Inputs) -> Prepared:
    """Make a copy of ``module`` ready and compare its first output with what eager PyTorch makes.

    Eager PyTorch itself is not compared: of a network that draws noise not even two of its own outputs are equal.

    Raises:
        NotApplicable: the backend does nothing for this network, or cannot take it.
    """
    device = inputs[0].device
    expected: object = None
    if backend is not eager:
        with torch.inference_mode(), tf32(False):
            expected = copy.deepcopy(module).to(device).eval()(*inputs)
    network = copy.deepcopy(module).to(device).eval()
    start = time.perf_counter()
    try:
        with torch.no_grad():
            call = backend(network, inputs)
        with torch.inference_mode():
            found = call()
    except NotApplicable:
        raise
    except Exception as error:
        if backend is eager:
            raise  # the network's own mistake, and no reason to leave it out
        raise NotApplicable(f"it cannot take this network ({_first_line(error)})") from error
    seconds = time.perf_counter() - start
    return Prepared(call, network, seconds, None if backend is eager else difference(expected, found))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200].strip()}" if lines else type(error).__name__


def measure_latency(
    dense: nn.Module,
    pruned: nn.Module,
    inputs: tuple[Tensor, ...],
    *,
    device: torch.device | str = "cpu",
    batch: int = 1,
    backend: Backend = EAGER,
    plan: Plan = ROUNDS,
    builds: int = BUILDS,
) -> dict[str, Any]:
    """Time ``pruned`` against ``dense`` on the first ``batch`` rows of ``inputs``.

    Copies of both networks are timed, new ones in each build, in eval and inference mode; the given ones are left
    alone. Where the machine lacks what the backend needs, where it does nothing for the network, or where an output
    differs from eager's by more than the backend's tolerance, nothing is timed: the status and its reason say so. On a
    GPU float32 is not rounded to TF32, but by the backend of that name.

    Args:
        plan: how much is timed of each build.
        builds: how often both are built (an even number); fewer where that takes longer than `BUILDS_SECONDS`.

    Returns:
        The fields of `bench.records.LatencyRecord` that timing determines.

    Raises:
        ValueError: fewer inputs than ``batch``.
    """
    if not inputs or min(map(len, inputs)) < batch or batch < 1:
        raise ValueError(f"a batch of {batch} needs as many inputs, found {[len(x) for x in inputs]}")
    device = torch.device(device)
    rows = tuple(x[:batch].to(device).contiguous() for x in inputs)
    fields: dict[str, Any] = {
        "device": str(device),
        "device_model": device_model(device),
        "backend": backend.name,
        "dense_backend": backend.dense_runs or backend.name,
        "batch": batch,
        "dtype": backend.dtype if backend.dtype != "float32" else dtype_of(pruned),
        "threads": torch.get_num_threads(),
        "flush_denormal": flushes_denormals(),
        "calls_per_block": 0,
        "output_tolerance": backend.tolerance,
    }
    if reason := backend.missing(device):
        return fields | _untimed("unavailable", reason)
    with tf32(False):
        return fields | _timed(backend, dense, pruned, rows, plan, builds)


class _Refused(Exception):
    """An output is too far from eager's; the argument says which and how far."""


@dataclass
class _Pair:
    """Makes both networks ready, again and again, and keeps the latest of each and what the making took."""

    backend: Backend
    dense: nn.Module
    pruned: nn.Module
    rows: Inputs

    def __post_init__(self) -> None:
        self.latest: dict[str, Prepared] = {}
        self.seconds: dict[str, float] = {}
        self.errors: list[float] = []
        self.made = 0

    def make_dense(self) -> Prepared:
        """The dense network, made ready anew."""
        return self._made("dense", self.backend.prepare_dense or self.backend.prepare, self.dense)

    def make_pruned(self) -> Prepared:
        """The pruned one."""
        return self._made("pruned", self.backend.prepare, self.pruned)

    def _made(self, name: str, how: Prepare, module: nn.Module) -> Prepared:
        if self.made % 2 == 0:
            self.backend.begin()
        self.made += 1
        made = prepare(how, module, self.rows)
        self.latest[name] = made
        self.seconds.setdefault(name, made.seconds)
        if made.error is not None:
            self.errors.append(made.error)
        return made

    def check(self) -> None:
        """Raises _Refused: one of the latest does not make what eager makes."""
        for name in ("dense", "pruned"):
            error = self.latest[name].error
            if error is not None and not error <= self.backend.tolerance:
                raise _Refused(
                    f"the {name} network's output differs from eager's by {error:.2g} of its largest value, "
                    f"{self.backend.tolerance:g} is allowed"
                )

    @property
    def fields(self) -> dict[str, Any]:
        """What preparing determines: the seconds of the first time, the largest error of all."""
        return {
            "prepare_dense_seconds": self.seconds["dense"],
            "prepare_pruned_seconds": self.seconds["pruned"],
            "output_error": max(self.errors) if self.errors and math.isfinite(sum(self.errors)) else None,
        }


def _timed(
    backend: Backend, dense: nn.Module, pruned: nn.Module, rows: Inputs, plan: Plan, builds: int
) -> dict[str, Any]:
    """What preparing and timing the pair determines."""
    pair = _Pair(backend, dense, pruned, rows)
    device = rows[0].device
    timer = timer_of(device)
    calls: list[int] = []

    def share(one: float, other: float) -> tuple[int, int]:
        counts = apart(one, other)
        calls.append(counts[1])  # of the first build, in which pruned is the second
        return counts

    def time_both(first: Prepared, second: Prepared) -> tuple[LatencySample, ...]:
        pair.check()
        return time_built(first.call, second.call, timer=timer, share=share, plan=plan)

    try:
        found = alternate(pair.make_dense, pair.make_pruned, time_both, builds=builds, seconds=BUILDS_SECONDS)
    except NotApplicable as error:
        return _untimed("not-applicable", str(error))
    except _Refused as refused:
        return pair.fields | _untimed("refused", str(refused))
    summary = asdict(summarise(found))
    on_cuda = device.type == "cuda"
    if on_cuda:
        summary["speedup_cpu"] = None  # the host only launches
    seen = on_cuda and not backend.private_memory
    latest = pair.latest["pruned"]
    peak = peak_of_call(latest.call, latest.network, device) if seen else None
    samples = [sample for build in found for sample in build.samples]
    return pair.fields | {"calls_per_block": calls[0], "samples": samples, **summary, "peak_memory_bytes": peak}


def _untimed(status: LatencyStatus, reason: str) -> dict[str, Any]:
    return {"samples": [], **asdict(Summary(status, reason))}


def peak_of_call(call: Call, module: nn.Module, device: torch.device) -> int:
    """CUDA bytes of one call: the network's parameters and buffers, and the peak above what lay there."""
    own = sum(x.numel() * x.element_size() for x in (*module.parameters(), *module.buffers()))
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    with torch.inference_mode():
        call()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - before + own


def dtype_of(module: nn.Module) -> str:
    """``float32``, ``bfloat16``, ...: the type of the first real-valued parameter."""
    found = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    return str(found).removeprefix("torch.")


def flushes_denormals() -> bool:
    """Whether this thread's arithmetic takes denormal numbers for 0; PyTorch can set that, but not tell."""
    return bool((torch.tensor([1e-310], dtype=torch.float64) * 1.5).item() == 0)
