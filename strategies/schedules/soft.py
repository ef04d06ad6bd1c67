"""Soft pruning: what scores low is set to zero, goes on training and may come back."""

from __future__ import annotations

import torch

from strategies.base import Context, Level, Target
from strategies.composition import Strategy
from strategies.granularity.channel import ChannelGranularity
from strategies.granularity.weight import WeightGranularity
from strategies.hooks import Training
from strategies.schedule import Schedule
from strategies.schedules.gradual import hard
from strategies.schedules.pruning import PruningHooks
from strategies.schedules.units import entries, require, weights_of


class SoftHooks(PruningHooks):
    """At each event the lowest units are zeroed once: weights themselves, channels by the filter that makes them.

    Nothing is held, so the next steps may bring them back and the next event may choose others. The last event
    is hard. The moving average is left to follow by itself until then.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        require(strategy, WeightGranularity, ChannelGranularity)
        super().__init__(strategy, context, level, target, steps)

    def prune(self, step: int, training: Training) -> None:
        if step == self.last:
            super().prune(step, training)
            return
        chosen = entries(training.generator, self.decide(training, self.share_at(step)))
        weights = weights_of(training.generator)
        for name, where in chosen.items():
            with torch.no_grad():
                weights[name].masked_fill_(where.to(weights[name].device), 0.0)


soft = Schedule("soft", hard.events, hard.share, "He et al. 2018 (soft filter pruning)", hooks=SoftHooks)
