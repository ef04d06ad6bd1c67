"""Blocks of calls and their clock: two calls timed in turn, in one process, on the machine at hand.

Other work on the machine lengthens wall time, and the longer call suffers more. So two calls run in alternating
blocks, and a block that was interrupted marks its pair.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.measure.backends import Call as Call
from bench.records import LatencySample

LOST = 0.01
"""Share of a block's wall time that may be lost to interruptions: less is no bias that matters. Where calls are long a
block is never left in peace, also on an idle machine: ten calls of 50 ms were preempted every time, for .1 %."""


@dataclass(frozen=True)
class Plan:
    """How much to time of two calls. A round is one block of each."""

    warmup: int = 1
    """Calls of each before the clock runs."""
    rounds: int = 5
    """At least so many rounds, and so many clean pairs if `max_rounds` and `max_seconds` allow."""
    min_seconds: float = 0.1
    """Timed seconds, not below, unless `max_rounds` comes first."""
    max_rounds: int = 20
    max_seconds: float = 0.4
    """No further round in search of clean pairs once so much was timed."""


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
    dense: Call, pruned: Call, calls: tuple[int, int], *, timer: Timer = cpu_timer, plan: Plan | None = None
) -> tuple[LatencySample, ...]:
    """Time two calls in alternating blocks, dense first in even rounds, pruned in odd ones.

    Args:
        calls: how many calls a block of dense has, and one of pruned.

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
                a, b = timer(dense, calls[0]), timer(pruned, calls[1])
            else:
                b, a = timer(pruned, calls[1]), timer(dense, calls[0])
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
            seconds += a.wall * calls[0] + b.wall * calls[1]
    return tuple(samples)


def _done(plan: Plan, rounds: int, clean: int, seconds: float) -> bool:
    if rounds < plan.rounds:
        return False
    if rounds >= plan.max_rounds:
        return True
    return seconds >= plan.min_seconds and (clean >= plan.rounds or seconds >= plan.max_seconds)


def _cpu_seconds() -> float:
    return time.thread_time() if torch.get_num_threads() == 1 else time.process_time()


def _switches() -> int:
    """Involuntary context switches so far: this thread's where it works alone, else the process's."""
    alone = torch.get_num_threads() == 1 and hasattr(resource, "RUSAGE_THREAD")
    return resource.getrusage(resource.RUSAGE_THREAD if alone else resource.RUSAGE_SELF).ru_nivcsw
