"""BatchNorm scales are pulled towards zero while training, then channels are cut by what is left of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from strategies.base import Context, Level, NotApplicable, Target
from strategies.composition import Strategy
from strategies.granularity.channel import ChannelGranularity
from strategies.hooks import Training
from strategies.schedule import Schedule, last_only, whole_share
from strategies.schedules.pruning import PruningHooks
from strategies.schedules.units import require

RHO = 1.0
"""The weight of the L1 penalty. Adam moves a weight by at most about one learning rate a step, so at 1 the pull
undoes what a gradient of unsteady sign does, and a scale stays only where the gradient insists on it."""


def soft_threshold(values: Tensor, by: float) -> Tensor:
    """``sign(v) max(|v| - by, 0)``: the proximal step of ``by * |v|``."""
    return values.sign() * (values.abs() - by).clamp_min(0)


class BnProxHooks(PruningHooks):
    """The proximal step on every scale after every step of the optimizer, ``by`` = its learning rate times rho."""

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        require(strategy, ChannelGranularity)
        if not any(isinstance(m, _BatchNorm) and m.affine for m in context.generator.modules()):
            raise NotApplicable("the generator has no BatchNorm, so there is no scale to pull towards zero")
        super().__init__(strategy, context, level, target, steps)

    @torch.no_grad()
    def watch(self, step: int, training: Training) -> None:
        by = training.opt_g.param_groups[0]["lr"] * RHO
        for module in training.generator.modules():
            if isinstance(module, _BatchNorm) and module.affine:
                module.weight.copy_(soft_threshold(module.weight, by))


bnprox = Schedule("bnprox", last_only, whole_share, "Wang et al. 2020 (GAN Slimming)", hooks=BnProxHooks)
