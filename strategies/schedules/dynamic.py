"""Dynamic sparse training: from the first step on as sparse as at the last, while the mask moves."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from strategies.base import Context, Level, Target
from strategies.composition import Strategy
from strategies.granularity.weight import WeightGranularity, WeightRemoval
from strategies.hooks import Training
from strategies.schedule import Schedule, spaced, whole_share
from strategies.schedules.pruning import PruningHooks
from strategies.schedules.units import forget, require, weights_of

UPDATES = 11
"""The mask moves after so many steps, the first to the last event; at the last one it is final and nothing moves."""

SET_FRACTION = 0.3
"""zeta of Mocanu et al. 2018."""

RIGL_ALPHA = 0.3
"""alpha of Evci et al. 2020."""


def cosine_fraction(progress: float) -> float:
    """``alpha / 2 (1 + cos(pi t / T))`` (Evci et al. 2020, eq. 1)."""
    return RIGL_ALPHA / 2 * (1 + math.cos(math.pi * progress))


def dropped_and_grown(mask: Tensor, weight: Tensor, growth: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """The mask after an update, and where weights start anew; both bool of the weight's shape.

    Args:
        mask: True where a weight is active.
        growth: the score of inactive weights, high grows first.
        fraction: of the active weights, ``floor(fraction * active)`` of the smallest magnitude are dropped and as many
            grown. What was dropped may grow again, it then keeps its value (as in Evci et al. 2020, algorithm 1).
    """
    count = int(fraction * int(mask.sum()))
    flat, magnitude = mask.reshape(-1), weight.detach().abs().reshape(-1)
    drop = torch.argsort(magnitude.masked_fill(~flat, torch.inf), stable=True)[:count]
    left = flat.index_fill(0, drop, False)
    grow = torch.argsort(growth.reshape(-1).masked_fill(left, -torch.inf), descending=True, stable=True)[:count]
    new = left.index_fill(0, grow, True)
    return new.view(mask.shape), (new != flat).view(mask.shape)


class DropAndGrowHooks(PruningHooks):
    """The strategy's own ranking gives the mask before the first step; then each layer keeps its number of weights.

    Grown weights start at zero, with the optimizer's moments at zero; so do the moments of dropped ones.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        require(strategy, WeightGranularity)
        super().__init__(strategy, context, level, target, steps)

    def before_step(self, step: int, training: Training) -> None:
        if step == 0:
            self.removal = self.decide(training, 1.0)
            self.removal.hold(training.generator)
            self.removal.hold(training.average)

    def fraction(self, step: int) -> float:
        """The share of a layer's active weights that is dropped after ``step``."""
        raise NotImplementedError

    def growth(self, weight: Tensor) -> Tensor:
        """The score of each weight for growing, high first, on the CPU."""
        raise NotImplementedError

    @torch.no_grad()
    def prune(self, step: int, training: Training) -> None:
        if step == self.last:
            return
        assert isinstance(self.removal, WeightRemoval)
        masks = {}
        weights = weights_of(training.generator)
        for name, mask in self.removal.masks.items():
            weight = weights[name]
            masks[name], changed = dropped_and_grown(mask, weight.cpu(), self.growth(weight), self.fraction(step))
            weight.masked_fill_(changed.to(weight.device), 0.0)
            forget(training.opt_g, weight, changed)
        self.removal = WeightRemoval(masks, self.removal.work)


class SetHooks(DropAndGrowHooks):
    """Grows at random."""

    def fraction(self, step: int) -> float:
        return SET_FRACTION

    def growth(self, weight: Tensor) -> Tensor:
        return torch.rand(weight.shape, generator=self.context.rng)


class RiglHooks(DropAndGrowHooks):
    """Grows where the gradient of the step just done is largest, over all weights, and less and less of them."""

    def fraction(self, step: int) -> float:
        return cosine_fraction(step / self.last)

    def growth(self, weight: Tensor) -> Tensor:
        assert weight.grad is not None  # the step just done left it
        return weight.grad.detach().abs().float().cpu()


def _dynamic(name: str, hooks: type[DropAndGrowHooks], source: str, *, random: bool = False) -> Schedule:
    return Schedule(name, _updates, whole_share, source, hooks=hooks, random=random)


_updates: Callable[[int], tuple[int, ...]] = spaced(UPDATES)

set_ = _dynamic("set", SetHooks, "Mocanu et al. 2018 (SET)", random=True)
rigl = _dynamic("rigl", RiglHooks, "Evci et al. 2020 (RigL)")
