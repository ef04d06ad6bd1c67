"""BASE timed against HEAD in one process, in as many fresh processes as it takes to know the ratio.

Two equal networks differ by a percent or two within one process, because of where their memory happens to lie,
and by another percent or two in the next. So one process says little however long it runs: the process is the
unit, and the uncertainty is the spread between processes.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.executors import Done, Work
from bench.executors.local import LocalExecutor
from bench.gate.contents import Shape
from bench.gate.rebuild import prepare
from bench.gate.source import load
from bench.gate.statistics import Estimate
from bench.measure.latency import MIN_CLEAN_PAIRS, Call, Plan, cpu_timer, cuda_timer, time_pair
from bench.records import LatencySample

MIN_PROCESSES = 8
"""With fewer processes in which a ratio could be taken, it is invalid."""

BLOCK_SECONDS = 0.015
"""A block of calls lasts about so long: short enough to escape interruption on a busy machine."""
MAX_CALLS = 20
ROUNDS = Plan(rounds=12, min_seconds=0.5, max_rounds=80, max_seconds=2.0)


@dataclass(frozen=True)
class Network:
    """One side of a ratio: a generator by its sizes."""

    workload: str
    checkpoint: str
    shape: Shape


@dataclass(frozen=True)
class Ratio:
    """What is timed against what."""

    base: Network
    head: Network
    batch: int
    device: str = "cpu"
    backend: str = "eager"


@dataclass(frozen=True)
class Task:
    """What one fresh process does."""

    ratios: tuple[Ratio, ...]
    base_source: Path | None
    """Folder with BASE's packages; None: ours."""
    head_source: Path | None
    flip: bool
    """HEAD is built first and plays dense's part in the timing: what the order does cancels out over processes."""


@dataclass(frozen=True)
class Taken:
    """One ratio in one process."""

    log_ratio: float | None
    """Median over clean pairs of log(HEAD / BASE) in wall time; None: too few clean pairs, or an error."""
    log_cpu_ratio: float | None
    base_ms: float | None
    head_ms: float | None
    clean: int
    pairs: int
    error: str = ""
    own_source: bool = True
    """False: BASE's or HEAD's source could not build it, so ours did."""


@dataclass(frozen=True)
class Timed:
    """One ratio over all processes."""

    estimate: Estimate | None
    """Of log(HEAD / BASE); None: not enough processes."""
    processes: int
    """In which the ratio could be taken."""
    started: int
    base_ms: float | None
    head_ms: float | None
    cpu_ratio: float | None
    """Median over processes of HEAD / BASE in CPU time: not disturbed by waiting, but blind to it too."""
    error: str
    own_source: bool


class TimingSetup:
    """Picklable: makes the work of a timing process."""

    def __call__(self) -> Work:
        torch.set_num_threads(1)
        return take


def take(task: Task) -> list[Taken]:
    """Time every ratio of a task in this process."""
    return [_take(ratio, task) for ratio in task.ratios]


def _take(ratio: Ratio, task: Task) -> Taken:
    sides = [(ratio.base, task.base_source, "ganprune_base"), (ratio.head, task.head_source, "ganprune_head")]
    if task.flip:
        sides.reverse()
    calls: list[Call] = []
    own = True
    for network, source, alias in sides:
        try:
            try:
                calls.append(_call(network, ratio, _builder(source, alias)))
            except Exception:
                if source is None:
                    raise
                own = False  # its source knows no such network, or has no such function: architectures alone
                calls.append(_call(network, ratio, prepare))
        except Exception as error:
            return Taken(None, None, None, None, 0, 0, f"{type(error).__name__}: {error}")
    return summed_up(time_calls(calls[0], calls[1], ratio.device), flip=task.flip, own_source=own)


def _builder(source: Path | None, alias: str) -> Callable[..., Call]:
    return prepare if source is None else load(source, alias, "bench.gate.rebuild").prepare


def _call(network: Network, ratio: Ratio, build: Callable[..., Call]) -> Call:
    return build(
        network.workload,
        network.checkpoint,
        network.shape.sizes,
        network.shape.widths,
        device=ratio.device,
        backend=ratio.backend,
        batch=ratio.batch,
    )


def time_calls(first: Call, second: Call, device: str = "cpu", plan: Plan = ROUNDS) -> tuple[LatencySample, ...]:
    """Alternating blocks of the two calls, each block about `BLOCK_SECONDS` long."""
    timer = cuda_timer(device) if torch.device(device).type == "cuda" else cpu_timer
    with torch.inference_mode():
        for call in (first, second):
            timer(call, 3)
        slower = max(timer(call, 3).wall for call in (first, second))
    calls = max(1, min(MAX_CALLS, round(BLOCK_SECONDS / slower)))
    blocks = Plan(calls, plan.warmup, plan.rounds, plan.min_seconds, plan.max_rounds, plan.max_seconds)
    return time_pair(first, second, timer=timer, plan=blocks)


def summed_up(samples: Sequence[LatencySample], *, flip: bool, own_source: bool = True) -> Taken:
    """The median ratio of the uninterrupted pairs; the order turned back where it was flipped."""
    clean = [s for s in samples if not s.interrupted]
    sign = -1.0 if flip else 1.0
    cpu = [math.log(s.pruned_cpu / s.dense_cpu) for s in samples if s.dense_cpu > 0 and s.pruned_cpu > 0]
    cpu_ratio = sign * statistics.median(cpu) if cpu else None
    if len(clean) < MIN_CLEAN_PAIRS:
        return Taken(None, cpu_ratio, None, None, len(clean), len(samples), own_source=own_source)
    ratio = sign * statistics.median(math.log(s.pruned_wall / s.dense_wall) for s in clean)
    times = [1_000 * statistics.median(getattr(s, side) for s in clean) for side in ("dense_wall", "pruned_wall")]
    base, head = reversed(times) if flip else times
    return Taken(ratio, cpu_ratio, base, head, len(clean), len(samples), own_source=own_source)


def estimate(log_ratios: Sequence[float]) -> Estimate:
    """The mean over processes, with the error that its spread gives."""
    n = len(log_ratios)
    return Estimate(statistics.fmean(log_ratios), statistics.stdev(log_ratios) / math.sqrt(n), n - 1)


def time_ratios(
    ratios: Sequence[Ratio],
    *,
    processes: int,
    max_seconds: float,
    base_source: Path | None = None,
    head_source: Path | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[Timed]:
    """Time all ratios in ``processes`` fresh processes, one after the other, alone on the machine.

    A process that would end after ``max_seconds`` is not begun.
    """
    begun = time.monotonic()
    taken: list[list[Taken]] = []
    errors: list[str] = []
    for index in range(processes):
        elapsed = time.monotonic() - begun
        if index and elapsed + elapsed / index > max_seconds:
            break
        task = Task(tuple(ratios), base_source, head_source, flip=index % 2 == 1)
        for outcome in LocalExecutor(1, fresh=True).run(TimingSetup(), [[[task]]]):
            if isinstance(outcome, Done):
                taken.append(outcome.result)
            else:
                errors.append(outcome.error)
        if advance:
            advance(index + 1, processes)
        if errors and not taken:
            break  # it would be the same in every process
    started = len(taken) + len(errors)
    return [_over_processes([one[i] for one in taken], started, errors) for i in range(len(ratios))]


def _over_processes(taken: Sequence[Taken], started: int, errors: Sequence[str]) -> Timed:
    good = [one for one in taken if one.log_ratio is not None]
    logs: list[float] = [one.log_ratio for one in good if one.log_ratio is not None]
    cpu = _median([one.log_cpu_ratio for one in taken if one.log_cpu_ratio is not None])
    error = next((one.error for one in taken if one.error), errors[0] if errors else "")
    return Timed(
        estimate=estimate(logs) if len(logs) >= MIN_PROCESSES else None,
        processes=len(logs),
        started=started,
        base_ms=_median([one.base_ms for one in good]),
        head_ms=_median([one.head_ms for one in good]),
        cpu_ratio=None if cpu is None else math.exp(cpu),
        error=error,
        own_source=all(one.own_source for one in taken),
    )


def _median(values: Sequence[Any]) -> float | None:
    return float(np.median(values)) if values else None
