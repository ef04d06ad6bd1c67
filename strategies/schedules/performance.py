"""How much is removed follows the measured balance of G and D."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from strategies.base import Context, Level, Removal, Target
from strategies.composition import Strategy
from strategies.hooks import Training
from strategies.schedule import Schedule, by_equal_factors, even_share, spaced
from strategies.schedules.pruning import PruningHooks

EVENTS = 20

MEMORY = 0.9
"""The accuracy is smoothed: ``MEMORY * before + (1 - MEMORY) * now``."""

KEEPS_UP_BELOW = 0.8
"""G keeps up while D recognises less than this share of its images."""

D_WINS_ABOVE = 0.95
"""D wins when it recognises more than this share."""


class PerformanceHooks(PruningHooks):
    """The rule, with ``a`` the smoothed share of generated images that D recognises (``accuracy_fake``).

    The way to the target has half as many stages as there are events. At each event but the last:
    ``a < .8``: one stage on, the lowest units by the present scores go; ``.8 <= a <= .95``: nothing changes;
    ``a > .95``: one stage back, what the last stage removed is no longer held and trains on from where it is.
    At the last event all that is left of the way is gone at once, whatever ``a`` says. A sparsity shrinks what is
    left by equal factors; a strategy's own knob grows in equal parts.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        super().__init__(strategy, context, level, target, steps)
        self.stages = max(1, len(self.events) // 2)
        self.accuracy: float | None = None
        self.reached: list[Removal] = []
        """The removal of each stage; the last one is held."""

    def watch(self, step: int, training: Training) -> None:
        """Smooth what the step just done measured."""
        assert training.last is not None  # a step was done
        now = training.last.accuracy_fake
        self.accuracy = now if self.accuracy is None else MEMORY * self.accuracy + (1 - MEMORY) * now

    def prune(self, step: int, training: Training) -> None:
        assert self.accuracy is not None  # `watch` comes first
        if step == self.last:
            self.removal = self.decide(training, 1.0)
        elif self.accuracy < KEEPS_UP_BELOW and len(self.reached) < self.stages:
            self.removal = self.decide(training, (len(self.reached) + 1) / self.stages)
            self.reached.append(self.removal)
        elif self.accuracy > D_WINS_ABOVE and self.reached:
            self.reached.pop()
            self.removal = self.reached[-1] if self.reached else None

    def decide(self, training: Training, share: float) -> Removal:
        if self.level.name == "sparsity":
            return super().decide(training, share)
        ranking = self.ranking(training)
        return self.strategy.decide(ranking, replace(self.level, value=share * self.level.value), self.target)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"accuracy": self.accuracy, "reached": self.saved(self.reached)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reached = self.restored(state["reached"])
        self.accuracy = state["accuracy"]
        super().load_state_dict(state)


performance = Schedule(
    "performance",
    spaced(EVENTS),
    even_share,
    "ours, after the balance ratio of ADAPT (NeurIPS 2023) and GCC (NeurIPS 2021): sparsity waits for G",
    amount=by_equal_factors,
    hooks=PerformanceHooks,
)
