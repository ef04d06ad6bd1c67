"""Group lasso: every channel is pulled towards zero as a whole while training, then channels are cut."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strategies.base import Context, Level, NotApplicable, Target
from strategies.composition import Strategy
from strategies.granularity.coupling import couple
from strategies.hooks import Training
from strategies.schedule import Schedule, last_only, whole_share
from strategies.schedules.belongings import CHANNELS, Part, parts, require
from strategies.schedules.pruning import PruningHooks

RHO = 1.0
"""The weight of the penalty, as that of `bnprox`: Adam moves a weight by at most about one learning rate a step."""


def shrinkage(norms: Tensor, counts: Tensor, by: float) -> Tensor:
    """What the proximal step of ``by * sqrt(count) * norm`` multiplies each group with: ``(groups,)``, in [0, 1].

    ``max(0, 1 - by sqrt(count) / norm)``; the root of the size is the weight that Yuan & Lin give a group.
    """
    pull = by * counts.sqrt()
    return torch.where(norms > pull, 1 - pull / norms, 0.0)


def channel_norms(parameters: dict[str, nn.Parameter], members: tuple[Part, ...], size: int) -> tuple[Tensor, Tensor]:
    """The L2 norm of everything that goes with each of ``size`` channels, and how many entries that is; float64."""
    squares, counts = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    for part in members:
        rows = parameters[part.parameter].detach().cpu().double().movedim(part.dim, 0)[part.indices]
        rows = rows.reshape(len(part.indices), -1)
        squares.index_add_(0, part.channels, rows.square().sum(1))
        counts.index_add_(0, part.channels, torch.full((len(rows),), float(rows.shape[1]), dtype=torch.float64))
    return squares.sqrt(), counts


class GroupLassoHooks(PruningHooks):
    """After every step each channel shrinks by the proximal step of its norm, ``by`` = the learning rate times rho.

    A channel is all that goes with it: the filter that makes it, its bias, its norm and what reads it. So a weight
    is in the group of its output and in that of its input, and is multiplied with the factors of both, which come
    from the norms before the step: for groups that overlap there is no closed form. Which channels go is decided at
    the end by the strategy's criterion; those that are zero by then have the lowest norm.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        require(strategy, CHANNELS)
        super().__init__(strategy, context, level, target, steps)
        groups = context.wiring.found_by(couple, context).groups
        if not groups:
            raise NotApplicable("no group of channels can be removed, so there is none to pull towards zero")
        self.groups = [(group.size, parts(context.generator, group)) for group in groups]

    @torch.no_grad()
    def watch(self, step: int, training: Training) -> None:
        by = training.opt_g.param_groups[0]["lr"] * RHO
        parameters = dict(training.generator.named_parameters())
        factors = [shrinkage(*channel_norms(parameters, members, size), by) for size, members in self.groups]
        for (_, members), factor in zip(self.groups, factors, strict=True):
            for part in members:
                parameter = parameters[part.parameter]
                along = torch.ones(parameter.shape[part.dim], dtype=torch.float64)
                along[part.indices] = factor[part.channels]
                shape = [-1 if dim == part.dim else 1 for dim in range(parameter.ndim)]
                parameter.mul_(along.to(parameter.device, parameter.dtype).view(shape))


grouplasso = Schedule(
    "grouplasso",
    last_only,
    whole_share,
    "Yuan & Lin 2006; networks: Wen et al. 2016 (SSL), on coupled channels as in Fang et al. 2023",
    hooks=GroupLassoHooks,
)
