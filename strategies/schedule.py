"""A schedule: after which steps is pruned, how much is due there, and what else happens in the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from strategies.base import Context, Level, Need, Target
from strategies.hooks import Pruning

LAST_EVENT_SHARE = 0.75
"""The last pruning event falls within this share of the steps, so that something is left to recover in."""


def even_share(progress: float) -> float:
    """The same share at every event."""
    return progress


def cubic_share(progress: float) -> float:
    """``1 - (1 - p)^3`` (Zhu & Gupta 2017, with initial sparsity 0): fast at first, gentle at the end."""
    return 1 - (1 - progress) ** 3


def whole_share(progress: float) -> float:
    """The whole target at every event."""
    return 1.0


def proportional(share: float, final: float) -> float:
    """The sparsity that is due: this share of the final one."""
    return share * final


def by_equal_factors(share: float, final: float) -> float:
    """``1 - (1 - final)^share``: in equal rounds what is left shrinks by the same factor, as ``.8^k`` does."""
    return 1 - float((1 - final) ** share)


def every_step(steps: int) -> range:
    """Every step of the first three quarters."""
    return range(max(1, int(LAST_EVENT_SHARE * steps)))


def last_only(steps: int) -> range:
    """The last step of the first three quarters."""
    return every_step(steps)[-1:]


def spaced(rounds: int) -> Callable[[int], tuple[int, ...]]:
    """``rounds`` equally spaced events from the first step to the last of the first three quarters.

    Fewer where there are fewer steps than rounds.
    """

    def events(steps: int) -> tuple[int, ...]:
        last = every_step(steps)[-1]
        return tuple(sorted({round(last * k / (rounds - 1)) for k in range(rounds)} | {last}))

    return events


@dataclass(frozen=True)
class Schedule:
    """Events (steps after which is pruned, counted from 0) and what is due at each."""

    name: str
    events: Callable[[int], Sequence[int]]
    """The number of training steps -> the events, rising, at least one."""
    share: Callable[[float], float]
    """The share of the events that are done, this one included -> the share of the way to the target that is due."""
    source: str
    hooks: Callable[[Any, Context, Level, Target, int], Pruning] = field(kw_only=True)
    """``(strategy, context, level, target, steps)`` -> what acts in the training loop; mostly `PruningHooks`."""
    needs: frozenset[Need] = frozenset({"training"})
    amount: Callable[[float, float], float] = proportional
    """The share of the way and the final sparsity -> the sparsity that is due."""
    random: bool = False
    """Whether it draws from the `prune` stream."""

    def last_event(self, steps: int) -> int:
        """The step after which nothing is pruned any more."""
        return self.events(steps)[-1]

    def share_at(self, step: int, steps: int) -> float | None:
        """The share of the way to the target that is due after ``step`` of ``steps``; None where nothing is pruned."""
        events = self.events(steps)
        if step not in events:
            return None
        return 1.0 if step == events[-1] else self.share((events.index(step) + 1) / len(events))

    def due(self, share: float, final: float) -> float:
        """The sparsity that is due at this share of the way to ``final``, which is met exactly at its end."""
        return final if share == 1 else self.amount(share, final)
