"""When, within a training of fixed length, pruning happens.

A schedule says after which steps it prunes and which share of the target is due there. `PruningHooks` carries
it out inside somebody else's training loop: it holds what is removed at zero and cuts physically once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from strategies.base import Context, Infeasible, Level, Need, NotApplicable, Pruned, Removal, Strategy, Target
from strategies.hooks import NoHooks, Training

LAST_EVENT_SHARE = 0.75
"""The last pruning event falls within this share of the steps, so that something is left to recover in."""


def cubic_share(progress: float) -> float:
    """``1 - (1 - p)^3`` (Zhu & Gupta 2017, with initial sparsity 0): fast at first, gentle at the end."""
    return 1 - (1 - progress) ** 3


@dataclass(frozen=True)
class Schedule:
    """Events (steps after which is pruned, counted from 0) and the share of the target due at each."""

    name: str
    events: Callable[[int], range]
    share: Callable[[float], float]
    source: str
    needs: frozenset[Need] = frozenset({"training"})

    def share_at(self, step: int, steps: int) -> float | None:
        """The share of the target due after ``step`` of ``steps``; None where nothing is pruned."""
        events = self.events(steps)
        if step not in events:
            return None
        return 1.0 if step == events[-1] else self.share((events.index(step) + 1) / len(events))


def _every_step(steps: int) -> range:
    return range(max(1, int(LAST_EVENT_SHARE * steps)))


everystep = Schedule("everystep", _every_step, cubic_share, "pruning after every training step")


class PruningHooks(NoHooks):
    """The hooks of a schedule in a training loop; also of a one-shot mask that has to be kept while training.

    ``pruned`` is None until the last event.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        """Raises `NotApplicable` without steps, or where the strategy does not fit the generator."""
        if strategy.schedule is None:
            raise ValueError(f"{strategy.name} has no schedule: prune before training and use `MaskHooks`")
        if steps < 1:
            raise NotApplicable(f"{strategy.name} prunes while training; this recovery has no training steps")
        self.strategy, self.context, self.level, self.target, self.steps = (
            strategy,
            context,
            level,
            target,
            steps,
        )
        self.schedule = strategy.schedule
        self.removal: Removal | None = None
        self.pruned: Pruned | None = None
        if level.name == "sparsity":  # an impossible target fails before any work starts
            strategy.decide(strategy.rank(context), level, target)

    def after_step(self, step: int, training: Training) -> Pruned | None:
        """Prune where it is due, hold what is gone at zero in the generator and its moving average.

        Returns:
            The pruned network at the last event, else None. The loop continues with it.
        """
        if self.pruned is not None and self.pruned.physical:
            return None
        generator, average = training.generator, training.average
        if self.pruned is None:
            share = self.schedule.share_at(step, self.steps)
            if share is not None:
                self.removal = self._decide(generator, share)
        if self.removal is not None:
            self.removal.hold(generator)
            self.removal.hold(average)
            if self.pruned is None and step == self.schedule.events(self.steps)[-1]:
                self.pruned = self.removal.apply(generator)
                return self.pruned
        return None

    def _decide(self, generator: nn.Module, share: float) -> Removal:
        ranking = self.strategy.rank(replace(self.context, generator=generator), after=self.removal)
        if self.level.name != "sparsity":
            return self.strategy.decide(ranking, self.level, self.target)
        reached = self.removal.sparsity(self.target) if self.removal else 0.0
        due = max(share * self.level.value, reached)
        try:
            return ranking.cut(due, self.target)
        except Infeasible as error:
            return ranking.cut(error.maximum, self.target)


class MaskHooks(NoHooks):
    """Keeps a one-shot mask at zero while the network trains; physical removals need nothing kept."""

    def __init__(self, masks: dict[str, Tensor]) -> None:
        self.masks = masks

    @torch.no_grad()
    def after_step(self, step: int, training: Training) -> Pruned | None:
        for model in (training.generator, training.average):
            for name, mask in self.masks.items():
                weight = model.get_submodule(name).weight
                assert isinstance(weight, Tensor)
                weight.mul_(mask.to(weight.device))
        return None
