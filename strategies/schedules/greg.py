"""Growing regularisation: what will go is chosen first, shrinks under a penalty that grows, and is cut when small."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from strategies.base import Context, Level, Removal, Target
from strategies.composition import Strategy
from strategies.hooks import Training
from strategies.schedule import Schedule, last_only, whole_share
from strategies.schedules.belongings import UNITS, going, require, require_finite
from strategies.schedules.pruning import PruningHooks

GROWTHS = 10
"""The penalty factor is raised so many times, by the same amount, in equal intervals until the cut."""

DECAY = 7.0
"""The sum of the penalty over all steps: without a gradient, what was chosen is cut at ``exp(-7)``, about a
thousandth, of what it was, whatever the number of steps."""


def penalties(steps: int) -> list[float]:
    """The penalty factor times the learning rate after each of ``steps``: ``k delta`` in the ``k``-th interval.

    ``delta`` is such that they add up to `DECAY`.
    """
    raised = [1 + step * GROWTHS // steps for step in range(steps)]
    return [DECAY * count / sum(raised) for count in raised]


class GregHooks(PruningHooks):
    """GReg-1: the strategy chooses before the first step; then only these units are penalised, and they alone go.

    After each step everything that goes with them (a weight; a channel's filter, bias, norm, and what reads it) is
    multiplied by ``exp(-lr lambda)``, with ``lambda`` the penalty factor of an L2 penalty ``lambda / 2 |w|^2``. The
    penalty is decoupled (Loshchilov & Hutter 2019) and not part of the loss, as in the paper, whose optimizer is SGD:
    Adam divides a gradient by its own size, which would take away what the method is about, that the pull grows. The
    filter alone would not do here: a BatchNorm behind it makes up for whatever size it has.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        require(strategy, UNITS)
        super().__init__(strategy, context, level, target, steps)
        self.penalties = penalties(self.last + 1)
        self.chosen: Removal | None = None
        self._going: dict[str, Tensor] | None = None

    def before_step(self, step: int, training: Training) -> None:
        if step == 0:
            self.chosen = self.decide(training, 1.0)

    @torch.no_grad()
    def watch(self, step: int, training: Training) -> None:
        """Shrink what was chosen."""
        assert self.chosen is not None  # `before_step` comes first
        if self._going is None:
            self._going = going(training.generator, self.chosen)
        factor = math.exp(-self.penalties[step])
        parameters = dict(training.generator.named_parameters())
        for name, where in self._going.items():
            parameter = parameters[name]
            parameter.copy_(torch.where(where.to(parameter.device), parameter * factor, parameter))

    def prune(self, step: int, training: Training) -> None:
        """What was chosen goes."""
        require_finite(training.generator)
        self.removal = self.chosen

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"chosen": self.saved([] if self.chosen is None else [self.chosen])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.chosen = next(iter(self.restored(state["chosen"])), None)
        super().load_state_dict(state)


greg = Schedule("greg", last_only, whole_share, "Wang et al. 2021 (GReg-1), decoupled for Adam", hooks=GregHooks)
