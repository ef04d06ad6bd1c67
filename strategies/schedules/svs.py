"""Singular value scaling: pruned before the first step, then what is left is made easier to train."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strategies.base import Context, Level, Target
from strategies.composition import Strategy
from strategies.granularity.channel import ChannelRemoval
from strategies.hooks import Training
from strategies.layers import out_dim, prunable_layers
from strategies.schedule import Schedule, whole_share
from strategies.schedules.belongings import CHANNELS, places, require, require_finite
from strategies.schedules.lottery import first_step
from strategies.schedules.pruning import PruningHooks
from strategies.slicing import shrink
from strategies.tracing.trace import OUTPUT

NORM_FLOOR = 1e-8
"""Added to a bias's norm, as in the authors' code: a bias of zeros stays one."""


def root_of_singular_values(weight: Tensor, dim: int) -> Tensor:
    """``U sqrt(S) V'`` of ``weight = U S V'``, in its shape and type; computed in float64.

    The matrix has a row for each output (``dim`` is theirs: the second of a transposed convolution's weight), and
    in its columns the rest, inputs and kernel.
    """
    outputs_first = weight.detach().double().movedim(dim, 0)
    u, s, vh = torch.linalg.svd(outputs_first.reshape(len(outputs_first), -1), full_matrices=False)
    scaled: Tensor = (u * s.sqrt()) @ vh
    return scaled.view(outputs_first.shape).movedim(0, dim).to(weight.dtype)


@torch.no_grad()
def scale(model: nn.Module, leave: frozenset[str] = frozenset()) -> None:
    """The roots of the singular values for each layer's weight, and ``b / sqrt(|b|)`` for its bias; in place.

    Norms stay as they are, and so do the layers of ``leave``.
    """
    for name, layer in prunable_layers(model).items():
        if name in leave:
            continue
        layer.weight.copy_(root_of_singular_values(layer.weight, out_dim(layer)))
        bias = layer._parameters.get("bias")
        if bias is not None:
            bias.mul_((bias.norm() + NORM_FLOOR).rsqrt())


class SvsHooks(PruningHooks):
    """Before the first step the strategy prunes, and what is left is scaled; the training is that of a one-shot one.

    The network is cut after the first step, until which its channels are held at zero: that step computes what the
    smaller network would. The layer that makes the images is not scaled, as in the authors' code for StyleGAN: no norm
    behind it takes the change of size back.
    """

    def __init__(self, strategy: Strategy, context: Context, level: Level, target: Target, steps: int) -> None:
        require(strategy, CHANNELS)
        super().__init__(strategy, context, level, target, steps)

    @torch.no_grad()
    def before_step(self, step: int, training: Training) -> None:
        if step != 0:
            return
        removal = self.decide(training, 1.0)
        assert isinstance(removal, ChannelRemoval)  # see `require`
        model = training.generator
        removal.hold(model)
        small = shrink(model, removal.kept(model))
        scale(small, frozenset(name for name, reason in removal.coupling.dense.items() if reason == OUTPUT))
        stays, scaled = places(model, removal), dict(small.named_parameters())
        for name, parameter in model.named_parameters():
            values = parameter.flatten()  # in row-major order, also where the memory has another
            where = stays.get(name, torch.arange(len(values))).to(values.device)
            parameter.copy_(values.index_copy(0, where, scaled[name].flatten()).view(parameter.shape))
        training.average.load_state_dict(model.state_dict())
        self.removal = removal

    def prune(self, step: int, training: Training) -> None:
        """What has been held since before the step is final."""
        require_finite(training.generator)


svs = Schedule("svs", first_step, whole_share, "Kim & Yoo 2025 (singular value scaling)", hooks=SvsHooks)
