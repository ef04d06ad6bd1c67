"""BASE timed against HEAD in one process, in as many fresh processes as it takes to know the ratio.

Two equal networks differ by some percent within one process: the one built second lies elsewhere in memory, and the
next build of both lies elsewhere again (`docs/calibration.md`). Timing the same two for longer does not help. So every
process builds both sides anew several times, in either order equally often; the mean over these is the process's ratio.
What is left differs from process to process: the process is the unit, and the spread between processes is the
uncertainty.
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
from bench.measure.latency import Call, Plan, cpu_timer, cuda_timer, time_pair
from bench.records import LatencySample
from bench.statistics import Estimate

MIN_PROCESSES = 8
"""With fewer processes in which a ratio could be taken, it is invalid."""

BUILDS = 6
"""How often a process builds and times the two sides of a ratio: even, so that each is built first equally often."""
BUILDS_SECONDS = 6.0
"""No more builds are begun after so long: two are all there is time for where networks are large, or compiled."""
MIN_CLEAN = 3
"""With fewer uninterrupted pairs a build does not count."""

BLOCK_SECONDS = 0.015
"""A block of calls lasts about so long: short enough to escape interruption on a busy machine."""
MAX_CALLS = 20
ROUNDS = Plan(warmup=1, rounds=5, min_seconds=0.1, max_rounds=20, max_seconds=0.4)
"""Of one build."""

ALONE = Resources(exclusive=True)
"""What a process that is timed needs."""

Build = Callable[[], Call]
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


def _side(network: Network, ratio: Ratio, source: Path | None, alias: str) -> tuple[Build, bool]:
    """How one side is built, and whether by the source it belongs to."""
    if source is not None:
        with contextlib.suppress(Exception):  # it knows no such network, or has no such function: architectures alone
            build = builder(network, ratio, load(source, alias, "bench.gate.rebuild").prepare)
            build()
            return build, True
    return builder(network, ratio), source is None


def builder(network: Network, ratio: Ratio, prepare: Callable[..., Call] = prepare) -> Build:
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
    base: Build, head: Build, device: str = "cpu", *, builds: int = BUILDS, seconds: float = BUILDS_SECONDS
) -> Taken:
    """Build both sides anew ``builds`` times (an even number) and time them, in changing order.

    Args:
        seconds: after so long no more are begun, but always two.
    """
    taken: dict[bool, list[Taken]] = {False: [], True: []}
    begun = time.monotonic()
    for index in range(builds):
        if index % 2 == 0 and index and time.monotonic() - begun > seconds:
            break
        head_first = index % 4 in (1, 2)  # as in ABBA, so that most of a drift cancels too
        calls = [build() for build in ((head, base) if head_first else (base, head))]
        taken[head_first].append(of_build(time_calls(calls[0], calls[1], device), head_first=head_first))
    return of_process(taken[False], taken[True])


def time_calls(first: Call, second: Call, device: str = "cpu") -> tuple[LatencySample, ...]:
    """Alternating blocks of the two calls, each block about `BLOCK_SECONDS` long."""
    timer = cuda_timer(device) if torch.device(device).type == "cuda" else cpu_timer
    with torch.inference_mode():
        for call in (first, second):
            timer(call, 2)
        slower = max(timer(call, 2).wall for call in (first, second))
    calls = max(1, min(MAX_CALLS, round(BLOCK_SECONDS / max(slower, 1e-9))))
    return time_pair(first, second, timer=timer, plan=replace(ROUNDS, calls_per_block=calls))


def of_build(samples: Sequence[LatencySample], *, head_first: bool) -> Taken:
    """The median ratio of the uninterrupted pairs that the clock saw; ``head_first``: HEAD is what they call dense."""
    clean = [s for s in samples if not s.interrupted and min(s.dense_wall, s.pruned_wall) > 0]
    sign = -1.0 if head_first else 1.0
    cpu = [math.log(s.pruned_cpu / s.dense_cpu) for s in samples if s.dense_cpu > 0 and s.pruned_cpu > 0]
    cpu_ratio = sign * statistics.median(cpu) if cpu else None
    if len(clean) < MIN_CLEAN:
        return Taken(None, cpu_ratio, None, None, len(clean), len(samples))
    ratio = sign * statistics.median(math.log(s.pruned_wall / s.dense_wall) for s in clean)
    times = [1_000 * statistics.median(getattr(s, side) for s in clean) for side in ("dense_wall", "pruned_wall")]
    base, head = reversed(times) if head_first else times
    return Taken(ratio, cpu_ratio, base, head, len(clean), len(samples))


def of_process(base_first: Sequence[Taken], head_first: Sequence[Taken]) -> Taken:
    """All builds of a process together: the order in which the sides were built is worth percents, and cancels out.

    There is no ratio unless more than half of the builds of either order have one.
    """
    both = [*base_first, *head_first]
    return Taken(
        log_ratio=_balanced([[one.log_ratio for one in taken] for taken in (base_first, head_first)]),
        log_cpu_ratio=_balanced([[one.log_cpu_ratio for one in taken] for taken in (base_first, head_first)]),
        base_ms=_median([one.base_ms for one in both if one.base_ms is not None]),
        head_ms=_median([one.head_ms for one in both if one.head_ms is not None]),
        clean=sum(one.clean for one in both),
        pairs=sum(one.pairs for one in both),
    )


def _balanced(orders: Sequence[Sequence[float | None]]) -> float | None:
    there = [[ratio for ratio in ratios if ratio is not None] for ratios in orders]
    if any(2 * len(found) <= len(ratios) for found, ratios in zip(there, orders, strict=True)):
        return None
    return statistics.fmean(statistics.fmean(ratios) for ratios in there)


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
