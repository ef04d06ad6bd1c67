"""BASE timed against HEAD in one process, in as many fresh processes as it takes to know the ratio.

Every process builds both sides anew several times, in either order equally often (`bench.measure.builds`); the mean
over these is the process's ratio. What is left differs from process to process: the process is the unit, and the spread
between processes is the uncertainty.
"""

from __future__ import annotations

import contextlib
import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.executors import Done, Resources, Work, stage
from bench.executors.local import LocalExecutor
from bench.gate.contents import Shape
from bench.gate.rebuild import prepare
from bench.gate.source import load
from bench.measure.blocks import Call
from bench.measure.builds import BUILDS, BUILDS_SECONDS, Build, alike, alternate, balanced, time_built, timer_of
from bench.records import LatencySample
from bench.statistics import Estimate

MIN_PROCESSES = 8
"""With fewer processes in which a ratio could be taken, it is invalid."""

ALONE = Resources(exclusive=True)
"""What a process that is timed needs."""

Make = Callable[[], Call]
"""Makes one side of a ratio, in memory of its own."""


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


@dataclass(frozen=True)
class Taken:
    """One ratio in one process."""

    log_ratio: float | None
    """log(HEAD / BASE) in wall time: of a build the median over its clean pairs, of the process the mean over its
    builds, both orders weighing the same. None: too few clean pairs, or an error."""
    log_cpu_ratio: float | None
    """The same in CPU time, over all pairs."""
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
    try:
        base, own_base = _side(ratio.base, ratio, task.base_source, "ganprune_base")
        head, own_head = _side(ratio.head, ratio, task.head_source, "ganprune_head")
        return replace(time_builds(base, head, ratio.device), own_source=own_base and own_head)
    except Exception as error:
        return Taken(None, None, None, None, 0, 0, f"{type(error).__name__}: {error}")


def _side(network: Network, ratio: Ratio, source: Path | None, alias: str) -> tuple[Make, bool]:
    """How one side is built, and whether by the source it belongs to."""
    if source is not None:
        with contextlib.suppress(Exception):  # it knows no such network, or has no such function: architectures alone
            build = builder(network, ratio, load(source, alias, "bench.gate.rebuild").prepare)
            build()
            return build, True
    return builder(network, ratio), source is None


def builder(network: Network, ratio: Ratio, prepare: Callable[..., Call] = prepare) -> Make:
    """How ``network`` is built for ``ratio``, by our `prepare` or that of another revision."""
    return functools.partial(
        prepare,
        network.workload,
        network.checkpoint,
        network.shape.sizes,
        network.shape.widths,
        device=ratio.device,
        backend=ratio.backend,
        batch=ratio.batch,
    )


def time_builds(
    base: Make, head: Make, device: str = "cpu", *, builds: int = BUILDS, seconds: float = BUILDS_SECONDS
) -> Taken:
    """Build both sides anew ``builds`` times (an even number) and time them, in changing order.

    Args:
        seconds: after so long no more are begun, but always two.
    """
    found = alternate(
        base, head, lambda first, second: time_calls(first, second, device), builds=builds, seconds=seconds
    )
    return of_process(found)


def time_calls(first: Call, second: Call, device: str = "cpu") -> tuple[LatencySample, ...]:
    """Alternating blocks of the two calls, as many calls in a block of either."""
    return time_built(first, second, timer=timer_of(device), share=alike)


def of_process(builds: Sequence[Build]) -> Taken:
    """All builds of a process together; ``dense_*`` of their samples is BASE.

    There is no ratio unless more than half of the builds of either order have one.
    """
    good = [build for build in builds if build.log_ratio is not None]
    return Taken(
        log_ratio=balanced(builds, lambda build: build.log_ratio),
        log_cpu_ratio=balanced(builds, lambda build: build.log_cpu_ratio),
        base_ms=_median([1_000 * statistics.median(s.dense_wall for s in build.clean) for build in good]),
        head_ms=_median([1_000 * statistics.median(s.pruned_wall for s in build.clean) for build in good]),
        clean=sum(len(build.clean) for build in builds),
        pairs=sum(len(build.samples) for build in builds),
    )


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
        task = Task(tuple(ratios), base_source, head_source)
        for outcome in LocalExecutor(1, fresh=True).run([stage(TimingSetup(), [task], resources=ALONE)]):
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
