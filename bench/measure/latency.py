"""How long a call takes: dense and pruned timed in turn, in one process, on the machine at hand.

Other work on the machine lengthens wall time, and the longer call suffers more. So dense and pruned run in
alternating blocks, a block that was interrupted marks its pair, and the speed-up is the median of the
ratios of the clean pairs. Where too few are clean the measurement is ``invalid`` and says why.

A block is as many calls of both as the quicker network needs for 25 ms, at most ten. More calls of slow networks buy
less than more rounds do; fewer calls of a quick one would be measured with what the slow one left in the caches.

Cost of the defaults where dense takes 2 ms a call at batch 1 and 20 ms at batch 16: about 12 rounds (0.4 s)
and 5 rounds (0.4 to 1 s), some 25 s for 22 architectures; up to three times that on a busy machine.
"""

from __future__ import annotations

import copy
import math
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.artifact.outputs import difference
from bench.base.machine import device_model
from bench.base.precision import tf32
from bench.measure.backends import Backend, Inputs, Prepare
from bench.measure.backends import Call as Call
from bench.measure.backends.eager import EAGER, eager
from bench.records import LatencySample, LatencyStatus
from strategies.base import NotApplicable

LOST = 0.01
"""Share of a block's wall time that may be lost to interruptions: less is no bias that matters. Where calls are long a
block is never left in peace, also on an idle machine: ten calls of 50 ms were preempted every time, for .1 %."""

TRIES = 3
"""Calls that say how long one takes, before a block's number of calls is chosen."""

MIN_CLEAN_PAIRS = 5
"""With fewer uninterrupted pairs a measurement is invalid."""


@dataclass(frozen=True)
class Plan:
    """How much to time. A round is one block of dense and one of pruned."""

    calls_per_block: int = 10
    """At most so many."""
    block_seconds: float = 0.025
    """What a block of the quicker network takes at least, unless `calls_per_block` comes first."""
    warmup: int = 5
    """Calls of each before the clock runs."""
    rounds: int = 5
    """At least so many rounds, and so many clean pairs if `max_rounds` and `max_seconds` allow."""
    min_seconds: float = 0.4
    """Timed seconds, not below, unless `max_rounds` comes first."""
    max_rounds: int = 60
    max_seconds: float = 5.0
    """No further round in search of clean pairs once so much was timed."""


def calls_in_block(plan: Plan, quicker: float) -> int:
    """How many calls a block has where the quicker network takes so many seconds a call."""
    return max(1, min(plan.calls_per_block, math.ceil(plan.block_seconds / max(quicker, 1e-9))))


def expected_seconds(call: float, plan: Plan | None = None) -> float:
    """How long a quiet machine times two networks that take ``call`` seconds a call each."""
    plan = plan or Plan()
    round_seconds = 2 * calls_in_block(plan, call) * max(call, 1e-9)
    rounds = min(max(plan.rounds, math.ceil(plan.min_seconds / round_seconds)), plan.max_rounds)
    return rounds * round_seconds + 2 * (plan.warmup + TRIES) * call


@dataclass(frozen=True)
class Block:
    """Seconds a call, mean over one block, and whether the scheduler interrupted the block for as long as matters."""

    wall: float
    cpu: float
    interrupted: bool


Timer = Callable[[Call, int], Block]
"""Runs a call so many times and says how long one took."""


def cpu_timer(call: Call, calls: int) -> Block:
    """Wall and CPU seconds of a call on the CPU; CPU time is the thread's, or with several the process's."""
    switches, cpu, wall = _switches(), _cpu_seconds(), time.perf_counter()
    for _ in range(calls):
        call()
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    return Block(wall / calls, cpu / calls, _switches() > switches and _mattered(wall, cpu))


def _mattered(wall: float, cpu: float) -> bool:
    """Whether a thread was kept waiting for more than `LOST` of the time; several threads do not say, so: yes."""
    return torch.get_num_threads() > 1 or wall - cpu > LOST * wall


def cuda_timer(device: torch.device | str) -> Timer:
    """Time on ``device`` by CUDA events around the block; CPU seconds are what the host took to launch it.

    A block is interrupted where the host was, while it launched: small networks wait for their launches.
    """

    def timer(call: Call, calls: int) -> Block:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.device(device):
            torch.cuda.synchronize()
            switches, cpu, host = _switches(), _cpu_seconds(), time.perf_counter()
            start.record()
            for _ in range(calls):
                call()
            end.record()
            host, cpu = time.perf_counter() - host, _cpu_seconds() - cpu
            interrupted = _switches() > switches and _mattered(host, cpu)
            torch.cuda.synchronize()
        return Block(start.elapsed_time(end) / 1_000 / calls, cpu / calls, interrupted)

    return timer


def time_pair(
    dense: Call, pruned: Call, *, timer: Timer = cpu_timer, plan: Plan | None = None
) -> tuple[LatencySample, ...]:
    """Time two calls in alternating blocks of ``plan.calls_per_block``, dense first in even rounds, pruned in odd ones.

    Returns:
        One sample a round, the interrupted ones too.
    """
    plan = plan or Plan()
    samples: list[LatencySample] = []
    seconds, clean = 0.0, 0
    with torch.inference_mode():
        for _ in range(plan.warmup):
            dense()
            pruned()
        while not _done(plan, len(samples), clean, seconds):
            if len(samples) % 2 == 0:
                a, b = timer(dense, plan.calls_per_block), timer(pruned, plan.calls_per_block)
            else:
                b, a = timer(pruned, plan.calls_per_block), timer(dense, plan.calls_per_block)
            interrupted = a.interrupted or b.interrupted
            samples.append(
                LatencySample(
                    dense_wall=a.wall,
                    pruned_wall=b.wall,
                    dense_cpu=a.cpu,
                    pruned_cpu=b.cpu,
                    interrupted=interrupted,
                )
            )
            clean += not interrupted
            seconds += (a.wall + b.wall) * plan.calls_per_block
    return tuple(samples)


def _done(plan: Plan, rounds: int, clean: int, seconds: float) -> bool:
    if rounds < plan.rounds:
        return False
    if rounds >= plan.max_rounds:
        return True
    return seconds >= plan.min_seconds and (clean >= plan.rounds or seconds >= plan.max_seconds)


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
    """Median ratio of CPU times over all pairs; there even when the measurement is invalid."""


def summarise(samples: tuple[LatencySample, ...], *, min_clean: int = MIN_CLEAN_PAIRS) -> Summary:
    """Medians, minima and the speed-up with its interval, over the uninterrupted pairs that the clock saw."""
    cpu_ratios = [s.dense_cpu / s.pruned_cpu for s in samples if s.pruned_cpu > 0]
    speedup_cpu = float(np.median(cpu_ratios)) if cpu_ratios else None
    clean = [s for s in samples if not s.interrupted and min(s.dense_wall, s.pruned_wall) > 0]
    if len(clean) < max(min_clean, 1):
        reason = (
            f"{len(clean)} of {len(samples)} pairs ran without interruption, {min_clean} are needed: "
            "the machine is busy with other work"
        )
        return Summary("invalid", reason, speedup_cpu=speedup_cpu)
    dense = 1_000 * np.array([s.dense_wall for s in clean])
    pruned = 1_000 * np.array([s.pruned_wall for s in clean])
    low, high = median_interval(dense / pruned)
    return Summary(
        status="ok",
        dense_ms=float(np.median(dense)),
        pruned_ms=float(np.median(pruned)),
        dense_ms_min=float(dense.min()),
        pruned_ms_min=float(pruned.min()),
        dense_ms_p95=float(np.percentile(dense, 95)),
        pruned_ms_p95=float(np.percentile(pruned, 95)),
        speedup=float(np.median(dense / pruned)),
        speedup_low=low,
        speedup_high=high,
        speedup_cpu=speedup_cpu,
    )


def median_interval(values: NDArray[np.float64], *, resamples: int = 2_000) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the median (Efron 1979), the same for the same values."""
    from scipy.stats import bootstrap  # most of a second, which only who times something pays

    if len(values) == 1:
        return float(values[0]), float(values[0])
    found = bootstrap(
        (values,), np.median, n_resamples=resamples, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


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
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Time ``pruned`` against ``dense`` on the first ``batch`` rows of ``inputs``.

    Copies of both networks are timed, in eval and inference mode; the given ones are left alone. Where the machine
    lacks what the backend needs, where it does nothing for the network, or where an output differs from eager's by
    more than the backend's tolerance, nothing is timed: the status and its reason say so. On a GPU float32 is not
    rounded to TF32, but by the backend of that name.

    Returns:
        The fields of `bench.records.LatencyRecord` that timing determines.

    Raises:
        ValueError: fewer inputs than ``batch``.
    """
    if not inputs or min(map(len, inputs)) < batch or batch < 1:
        raise ValueError(f"a batch of {batch} needs as many inputs, found {[len(x) for x in inputs]}")
    plan, device = plan or Plan(), torch.device(device)
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
        "calls_per_block": plan.calls_per_block,
        "output_tolerance": backend.tolerance,
    }
    if reason := backend.missing(device):
        return fields | _untimed("unavailable", reason)
    with tf32(False):
        return fields | _timed(backend, dense, pruned, rows, plan)


def _timed(backend: Backend, dense: nn.Module, pruned: nn.Module, rows: Inputs, plan: Plan) -> dict[str, Any]:
    """What preparing and timing the pair determines."""
    backend.begin()
    try:
        # The pruned one first: it says cheaply whether the backend has anything to do.
        second = prepare(backend.prepare, pruned, rows)
        first = prepare(backend.prepare_dense or backend.prepare, dense, rows)
    except NotApplicable as error:
        return _untimed("not-applicable", str(error))
    errors = [member.error for member in (first, second) if member.error is not None]
    fields: dict[str, Any] = {
        "prepare_dense_seconds": first.seconds,
        "prepare_pruned_seconds": second.seconds,
        "output_error": max(errors) if errors and math.isfinite(sum(errors)) else None,
    }
    for name, member in (("dense", first), ("pruned", second)):
        if member.error is not None and not member.error <= backend.tolerance:
            reason = (
                f"the {name} network's output differs from eager's by {member.error:.2g} of its largest value, "
                f"{backend.tolerance:g} is allowed"
            )
            return fields | _untimed("refused", reason)
    device = rows[0].device
    on_cuda = device.type == "cuda"
    timer = cuda_timer(device) if on_cuda else cpu_timer
    calls = calls_in_block(plan, min(_quickest(timer, member.call) for member in (first, second)))
    samples = time_pair(first.call, second.call, timer=timer, plan=replace(plan, calls_per_block=calls))
    summary = asdict(summarise(samples))
    if on_cuda:
        summary["speedup_cpu"] = None  # the host only launches
    seen = on_cuda and not backend.private_memory
    peak = peak_of_call(second.call, second.network, device) if seen else None
    return fields | {"calls_per_block": calls, "samples": list(samples), **summary, "peak_memory_bytes": peak}


def _quickest(timer: Timer, call: Call) -> float:
    """Seconds of the quickest of a few calls: the first ones are slow."""
    with torch.inference_mode():
        return min(timer(call, 1).wall for _ in range(TRIES))


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


def _cpu_seconds() -> float:
    return time.thread_time() if torch.get_num_threads() == 1 else time.process_time()


def _switches() -> int:
    """Involuntary context switches so far: this thread's where it works alone, else the process's."""
    alone = torch.get_num_threads() == 1 and hasattr(resource, "RUSAGE_THREAD")
    return resource.getrusage(resource.RUSAGE_THREAD if alone else resource.RUSAGE_SELF).ru_nivcsw
