"""Two sides built anew several times and timed against each other: how the sweep and the gate take a ratio of times.

Two equal networks differ by some percent within one process: the one built second lies elsewhere in memory, and the
next build of both lies elsewhere again (`docs/calibration.md`). Timing the same two for longer does not help. So both
sides are built six times, in either order equally often, and each build is timed shortly, in blocks of about 15 ms:
short enough to escape interruption on a busy machine. The ratio of a build is the median over its clean pairs; that of
all builds is the mean, both orders weighing the same; the spread between builds is its uncertainty.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from bench.measure.blocks import Call, Plan, Timer, cpu_timer, cuda_timer, time_pair
from bench.records import LatencySample

BUILDS = 6
"""How often both sides are built and timed: even, so that each is built first equally often."""
BUILDS_SECONDS = 6.0
"""No more builds are begun after so long: two are all there is time for where networks are large, or compiled."""
MIN_CLEAN = 3
"""With fewer uninterrupted pairs a build does not count."""
ROUNDS = Plan(warmup=1, rounds=5, min_seconds=0.1, max_rounds=20, max_seconds=0.4)
"""Of one build."""

BLOCK_SECONDS = 0.015
"""A block of calls lasts about so long: short enough to escape interruption on a busy machine."""
MAX_CALLS = 20
"""In a block: where calls are very quick, shorter blocks escape interruption more often still."""
TRIES = 2
"""Calls that say how long one takes, before a block's number of calls is chosen; as many come before them."""

Side = TypeVar("Side")
Share = Callable[[float, float], tuple[int, int]]
"""From the seconds of one call of each to the calls in a block of each."""


def alike(one: float, other: float) -> tuple[int, int]:
    """As many calls of both as the slower makes in a block: for sides that are nearly equal, as the gate's are."""
    calls = _calls(max(one, other))
    return calls, calls


def apart(one: float, other: float) -> tuple[int, int]:
    """As many calls of each as make a block of its own: for sides that may be ten times apart. One call of the quicker
    would be measured with what the slower left in the caches, which is worth 13 % (`docs/performance.md`).
    """
    return _calls(one), _calls(other)


def _calls(seconds: float) -> int:
    return max(1, min(MAX_CALLS, round(BLOCK_SECONDS / max(seconds, 1e-9))))


def timer_of(device: torch.device | str) -> Timer:
    """By CUDA events on a GPU, else by the clock."""
    return cuda_timer(device) if torch.device(device).type == "cuda" else cpu_timer


def time_built(
    first: Call, second: Call, *, timer: Timer, share: Share, plan: Plan = ROUNDS
) -> tuple[LatencySample, ...]:
    """Alternating blocks of two calls that were just built, each block about `BLOCK_SECONDS` long."""
    with torch.inference_mode():
        for call in (first, second):
            timer(call, TRIES)
        one, other = (timer(call, TRIES).wall for call in (first, second))
    return time_pair(first, second, share(one, other), timer=timer, plan=plan)


@dataclass(frozen=True)
class Build:
    """What was timed of two sides that were built once; ``dense_*`` of a sample is the one, ``pruned_*`` the other."""

    samples: tuple[LatencySample, ...]
    other_first: bool = False
    """The other side was built, and timed, first."""

    @functools.cached_property
    def clean(self) -> tuple[LatencySample, ...]:
        """The uninterrupted pairs that the clock saw."""
        return clean_of(self.samples)

    @property
    def log_ratio(self) -> float | None:
        """log(other / one) in wall time, the median over the clean pairs; None: too few of them."""
        if len(self.clean) < MIN_CLEAN:
            return None
        return statistics.median(math.log(s.pruned_wall / s.dense_wall) for s in self.clean)

    @property
    def log_cpu_ratio(self) -> float | None:
        """The same in CPU time, over all pairs; None: the clock did not tick."""
        ticked = [s for s in self.samples if s.dense_cpu > 0 and s.pruned_cpu > 0]
        return statistics.median(math.log(s.pruned_cpu / s.dense_cpu) for s in ticked) if ticked else None


def clean_of(samples: Sequence[LatencySample]) -> tuple[LatencySample, ...]:
    """The uninterrupted pairs that the clock saw."""
    return tuple(s for s in samples if not s.interrupted and min(s.dense_wall, s.pruned_wall) > 0)


def other_first(build: int) -> bool:
    """Whether the other side comes first in the build of this number: as in ABBA, so most of a drift cancels too."""
    return build % 4 in (1, 2)


def alternate(
    one: Callable[[], Side],
    other: Callable[[], Side],
    time_both: Callable[[Side, Side], Sequence[LatencySample]],
    *,
    builds: int = BUILDS,
    seconds: float = BUILDS_SECONDS,
) -> list[Build]:
    """Build both sides anew ``builds`` times (an even number) and time them, in changing order.

    Args:
        time_both: times what was built first against what was built second.
        seconds: after so long no more are begun, but always two.
    """
    found: list[Build] = []
    begun = time.monotonic()
    for index in range(builds):
        if index % 2 == 0 and index and time.monotonic() - begun > seconds:
            break
        turned = other_first(index)
        # What was built before is let go only now that these lie elsewhere.
        built = [build() for build in ((other, one) if turned else (one, other))]
        samples = time_both(built[0], built[1])
        numbered = [sample.model_copy(update={"build": index}) for sample in samples]
        found.append(Build(tuple(map(_turned, numbered) if turned else numbered), turned))
    return found


def _turned(sample: LatencySample) -> LatencySample:
    return sample.model_copy(
        update={
            "dense_wall": sample.pruned_wall,
            "pruned_wall": sample.dense_wall,
            "dense_cpu": sample.pruned_cpu,
            "pruned_cpu": sample.dense_cpu,
        }
    )


def balanced(builds: Sequence[Build], ratio: Callable[[Build], float | None]) -> float | None:
    """The mean over builds, both orders weighing the same: the order in which sides are built is worth percents.

    None unless more than half of the builds of either order have a ratio.
    """
    orders = _by_order(builds, ratio)
    return None if orders is None else statistics.fmean(statistics.fmean(ratios) for ratios in orders)


def half_width(builds: Sequence[Build], ratio: Callable[[Build], float | None]) -> float | None:
    """Half of the 95 % interval of `balanced`, by the spread between builds of one order (Student's t).

    ``t(n - 2) s sqrt(1 / n1 + 1 / n2) / 2`` with the pooled spread ``s`` of ``n1`` and ``n2`` builds. Where there is
    one build of each order, nothing tells the order from chance: then it is the t interval of two values.
    """
    from scipy.special import stdtrit

    orders = _by_order(builds, ratio)
    if orders is None:
        return None
    first, second = orders
    degrees = len(first) + len(second) - 2
    if degrees == 0:
        return float(stdtrit(1, 0.975)) * abs(first[0] - second[0]) / 2
    squares = sum((value - statistics.fmean(values)) ** 2 for values in orders for value in values)
    error = math.sqrt(squares / degrees * (1 / len(first) + 1 / len(second))) / 2
    return float(stdtrit(degrees, 0.975)) * error


def _by_order(
    builds: Sequence[Build], ratio: Callable[[Build], float | None]
) -> tuple[list[float], list[float]] | None:
    """The ratios of either order; None where half of the builds of one have none, or there are none."""
    orders: list[list[float]] = []
    for turned in (False, True):
        mine = [ratio(build) for build in builds if build.other_first is turned]
        there = [value for value in mine if value is not None]
        if 2 * len(there) <= len(mine) or not mine:
            return None
        orders.append(there)
    return orders[0], orders[1]
