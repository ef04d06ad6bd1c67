"""What scores low is restored by drawing it anew, and gets another chance to become useful."""

from __future__ import annotations

import torch

from strategies.base import Context, Level, NotApplicable, Target
from strategies.composition import Strategy
from strategies.granularity.channel import ChannelGranularity
from strategies.granularity.weight import WeightGranularity
from strategies.hooks import Training
from strategies.schedule import Schedule
from strategies.schedules.gradual import iterative
from strategies.schedules.pruning import PruningHooks
from strategies.schedules.units import entries, forget, require, weights_of


class ReinitHooks(PruningHooks):
    """At each event the lowest units are drawn from ``N(0, s)``, with ``s`` the initial deviation of their layer.

    Weights themselves are drawn, of channels the filter that makes them; their optimizer moments start at zero.
    They train on like all others. The last event is hard. Against `iterative`, which has the same events and
    amounts, this differs in one thing: what becomes of what was chosen until the next event.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        require(strategy, WeightGranularity, ChannelGranularity)
        if context.initialisation is None:
            raise NotApplicable(f"{strategy.name} draws from the initialisation's distribution, which is not known")
        initial = weights_of(context.initialisation.generator)
        self.deviation = {name: float(weight.detach().std(correction=0)) for name, weight in initial.items()}
        super().__init__(strategy, context, level, target, steps)

    def prune(self, step: int, training: Training) -> None:
        if step == self.last:
            super().prune(step, training)
            return
        chosen = entries(training.generator, self.decide(training, self.share_at(step)))
        weights = weights_of(training.generator)
        for name, where in chosen.items():
            weight, here = weights[name], where.to(weights[name].device)
            drawn = torch.randn(int(where.sum()), generator=self.context.rng) * self.deviation[name]
            # By index in the tensor, not by place in memory: a channels-last weight gets the same draws.
            with torch.no_grad():
                weight[here] = drawn.to(weight.device, weight.dtype)
            forget(training.opt_g, weight, where)


reinit = Schedule(
    "reinit",
    iterative.events,
    iterative.share,
    "after Prakash et al. 2019 (RePr): filters that were dropped are drawn anew and trained on",
    needs=frozenset({"training", "initialisation"}),
    amount=iterative.amount,
    hooks=ReinitHooks,
    random=True,
)
