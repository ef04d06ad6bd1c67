"""What a recovery starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from strategies.base import Context, Level, Pruned, Target
from strategies.composition import Strategy
from strategies.hooks import Pruning


@dataclass(frozen=True)
class Scheduled:
    """A strategy that prunes on the way, and what it is asked for."""

    strategy: Strategy
    context: Context
    level: Level
    target: Target

    def hooks(self, steps: int) -> Pruning:
        """What prunes in a training of so many steps; a training that begins twice draws the same both times.

        Raises:
            NotApplicable: the strategy does not fit the generator.
        """
        assert self.strategy.schedule is not None
        rng = torch.Generator(self.context.rng.device)
        rng.set_state(self.context.rng.get_state())
        context = replace(self.context, rng=rng)
        return self.strategy.schedule.hooks(self.strategy, context, self.level, self.target, steps)


Start = Pruned | Scheduled | None
"""A network that is pruned already, a strategy that prunes on the way, or the dense network."""
