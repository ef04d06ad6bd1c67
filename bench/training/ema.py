"""The exponential moving average of a generator's parameters."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Average of ``model``'s parameters with decay ``min(decay, (1 + t) / (10 + t))``.

    The warm-up keeps the first steps from being dominated by the starting point. Buffers (BatchNorm
    statistics) are copied, not averaged: whoever uses the average recomputes them.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averages = list(self.model.parameters())
        torch._foreach_lerp_([*averages], [*model.parameters()], 1 - decay)
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
