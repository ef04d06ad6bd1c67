"""Pruning inside somebody else's training loop: what is removed is held at zero and cut physically once, at the end.

`PruningHooks` does what most schedules need; the others change one of its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch

from strategies.base import (
    Context,
    Diverged,
    Infeasible,
    Level,
    NotApplicable,
    Pruned,
    Ranking,
    Removal,
    Target,
)
from strategies.composition import Strategy
from strategies.hooks import NoHooks, Training
from strategies.layers import device_of


@runtime_checkable
class Savable(Protocol):
    """A removal that a saved training can hold."""

    def state(self) -> dict[str, Any]:
        """Plain tensors, numbers and texts."""


@runtime_checkable
class Restoring(Protocol):
    """A ranking that makes a removal again from its state."""

    def restored(self, state: dict[str, Any]) -> Removal: ...


class PruningHooks(NoHooks):
    """The hooks of a schedule in a training loop: at each event the units that are due go and stay away.

    ``pruned`` is None until the last event. After `load_state_dict` its generator has the weights of before the
    training: the loop has those of after it.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        """Raises `NotApplicable` without steps, or where the strategy does not fit the generator."""
        if strategy.schedule is None:
            raise ValueError(f"{strategy.name} has no schedule: prune before training and use `KeepHooks`")
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
        self.events = self.schedule.events(steps)
        self.last = self.events[-1]
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
        if self.pruned is None:
            self.watch(step, training)
            if step in self.events:
                self.prune(step, training)
        if self.removal is None:
            return None
        self.removal.hold(training.generator)
        self.removal.hold(training.average)
        if self.pruned is None and step == self.last:
            self.pruned = self.removal.apply(training.generator)
            return self.pruned
        return None

    def watch(self, step: int, training: Training) -> None:
        """Called after every step until the last event, before `prune`."""

    def prune(self, step: int, training: Training) -> None:
        """Called at each event; what ``removal`` is afterwards is held at zero from now on."""
        self.removal = self.decide(training, self.share_at(step))

    def share_at(self, step: int) -> float:
        """The share of the way to the target that is due at the event ``step``."""
        share = self.schedule.share_at(step, self.steps)
        assert share is not None  # it is an event
        return share

    def decide(self, training: Training, share: float) -> Removal:
        """The units that are due, by the scores of the generator as it is now; those that are gone stay gone."""
        ranking = self.ranking(training)
        if self.level.name != "sparsity":
            return self.strategy.decide(ranking, self.level, self.target)
        reached = self.removal.sparsity(self.target) if self.removal else 0.0
        due = max(self.schedule.due(share, self.level.value), reached)
        try:
            return ranking.cut(due, self.target)
        except Infeasible as error:
            return ranking.cut(error.maximum, self.target)

    def ranking(self, training: Training) -> Ranking:
        """The units by the scores of the generator as it is now; those that are gone go first.

        Raises:
            Diverged: the generator has weights that are not finite.
        """
        lost = [name for name, x in training.generator.named_parameters() if not bool(torch.isfinite(x).all())]
        if lost:
            raise Diverged(f"the weights of {lost[0]} are no longer finite")
        context = replace(self.context, generator=training.generator, device=device_of(training.generator))
        return self.strategy.rank(context, after=self.removal)

    def state_dict(self) -> dict[str, Any]:
        """What is held, whether that is final, and the state of the `prune` stream.

        Raises:
            TypeError: a removal of a granularity that has no plain form.
        """
        return {
            "removals": self.saved([] if self.removal is None else [self.removal]),
            "final": self.pruned is not None,
            "rng": self.context.rng.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.removal = next(iter(self.restored(state["removals"])), None)
        self.pruned = self.removal.apply(self.context.generator) if self.removal and state["final"] else None
        self.context.rng.set_state(state["rng"].cpu())

    def saved(self, removals: Sequence[Removal]) -> list[dict[str, Any]]:
        """Removals as plain values."""
        states = []
        for removal in removals:
            if not isinstance(removal, Savable):
                raise TypeError(f"{type(removal).__name__} has no method `state`: this training cannot be saved")
            states.append(removal.state())
        return states

    def restored(self, states: Sequence[dict[str, Any]]) -> list[Removal]:
        """The removals again; what they were cut from is found in the context's generator."""
        if not states:
            return []
        ranking = self.strategy.rank(self.context)
        assert isinstance(ranking, Restoring)  # its removals were savable
        return [ranking.restored(state) for state in states]
