"""BigGAN (Brock et al. 2019): files of its authors' PyTorch version (``G.pth``, ``G_ema.pth``: plain state dicts).

Convolutions and linear layers divide their weight by an estimate of its largest singular value in each forward pass
(``u0``, ``sv0`` in the file). The benchmark bakes that in when it loads a checkpoint (`strategies.baking`).
Unlike there, labels are indices, and their embedding is looked up in ``forward``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.workloads.public.normalised import NormalisedConv, NormalisedLinear

WIDTHS: dict[int, tuple[int, ...]] = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
"""Resolution -> channels before the first block and after each, in units of ``ch``.

The paper's appendix B; 32 and 64 are those of the authors' PyTorch version."""

BOTTOM = 4
"""Height and width that the first linear layer makes."""


class ConditionalNorm(nn.Module):
    """BatchNorm whose gain and bias depend on the condition: a vector, or, where its size is None, a class."""

    def __init__(self, width: int, condition: int | None, classes: int, bn_eps: float, sn_eps: float) -> None:
        super().__init__()

        def made() -> nn.Module:
            if condition is None:
                return nn.Embedding(classes, width)
            return NormalisedLinear(condition, width, sn_eps, bias=False)

        self.gain, self.bias, self.eps = made(), made(), bn_eps
        _remember_statistics(self, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = (layer(condition)[:, :, None, None] for layer in (self.gain, self.bias))
        y: Tensor = _normalised(self, x) * (1 + gain) + bias
        return y


class Norm(nn.Module):
    """The last BatchNorm: one gain and bias for each channel."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.eps = eps
        _remember_statistics(self, width)

    def forward(self, x: Tensor) -> Tensor:
        return _normalised(self, x, self.gain, self.bias)


def _remember_statistics(module: nn.Module, width: int) -> None:
    module.register_buffer("stored_mean", torch.zeros(width))
    module.register_buffer("stored_var", torch.ones(width))


def _normalised(norm: nn.Module, x: Tensor, gain: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    mean, var = cast(Tensor, norm.stored_mean), cast(Tensor, norm.stored_var)
    return F.batch_norm(x, mean, var, gain, bias, norm.training, eps=cast(float, norm.eps))


class Block(nn.Module):
    """``(B, width_in, H, W) -> (B, width, 2H, 2W)``: a residual block that enlarges by repeating pixels."""

    def __init__(
        self, width_in: int, width: int, condition: int | None, classes: int, bn_eps: float, sn_eps: float
    ) -> None:
        super().__init__()
        self.conv1 = NormalisedConv(width_in, width, 3, sn_eps)
        self.conv2 = NormalisedConv(width, width, 3, sn_eps)
        self.conv_sc = NormalisedConv(width_in, width, 1, sn_eps)
        self.bn1 = ConditionalNorm(width_in, condition, classes, bn_eps, sn_eps)
        self.bn2 = ConditionalNorm(width, condition, classes, bn_eps, sn_eps)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        inner = F.interpolate(F.relu(self.bn1(x, condition)), scale_factor=2)
        inner = self.conv2(F.relu(self.bn2(self.conv1(inner), condition)))
        y: Tensor = inner + self.conv_sc(F.interpolate(x, scale_factor=2))
        return y


class Attention(nn.Module):
    """Self-attention over positions (Zhang et al. 2019), with keys and values pooled; a learned share is added."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.theta, self.phi = (NormalisedConv(width, width // 8, 1, eps, bias=False) for _ in range(2))
        self.g = NormalisedConv(width, width // 2, 1, eps, bias=False)
        self.o = NormalisedConv(width // 2, width, 1, eps, bias=False)
        self.gamma = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        queries = self.theta(x).flatten(2).transpose(1, 2)
        keys = F.max_pool2d(self.phi(x), 2).flatten(2)
        values = F.max_pool2d(self.g(x), 2).flatten(2)
        shares = torch.softmax(queries @ keys, dim=-1)
        read = (values @ shares.transpose(1, 2)).view(len(x), -1, *x.shape[2:])
        y: Tensor = x + self.gamma * self.o(read)
        return y


class Generator(nn.Module):
    """``z (B, dim_z), labels (B,) -> (B, 3, resolution, resolution)`` in [-1, 1].

    The defaults are those of the published weights for ImageNet at 128 x 128: 70,433,988 parameters.

    Args:
        resolution: one of `WIDTHS`.
        ch: the unit of width.
        dim_z: length of the noise. Hierarchical: cut into one piece for the first layer and one for each block.
        n_classes: labels are 0 to ``n_classes - 1``.
        shared_dim: length of the embedding that all norms share; 0: each norm has a table of its own.
        hier: whether each block is given a piece of the noise beside the class.
        attention: resolutions after whose block there is self-attention.
    """

    def __init__(
        self,
        resolution: int = 128,
        ch: int = 96,
        dim_z: int = 120,
        n_classes: int = 1000,
        shared_dim: int = 128,
        hier: bool = True,
        attention: Sequence[int] = (64,),
        bn_eps: float = 1e-5,
        sn_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        if resolution not in WIDTHS:
            raise ValueError(f"resolution {resolution}: expected one of {', '.join(map(str, WIDTHS))}")
        if hier and not shared_dim:
            raise ValueError("hier = true needs shared_dim: pieces of noise are joined to a shared embedding")
        widths = [ch * unit for unit in WIDTHS[resolution]]
        blocks = len(widths) - 1
        self.piece = dim_z // (blocks + 1) if hier else dim_z
        condition = shared_dim + (self.piece if hier else 0) if shared_dim else None
        self.hier = hier
        self.shared = nn.Embedding(n_classes, shared_dim) if shared_dim else nn.Identity()
        self.linear = NormalisedLinear(self.piece, widths[0] * BOTTOM**2, sn_eps)
        self.blocks = nn.ModuleList()
        for k, (width_in, width) in enumerate(pairwise(widths)):
            stage = [Block(width_in, width, condition, n_classes, bn_eps, sn_eps)]
            attends = BOTTOM * 2 ** (k + 1) in attention
            self.blocks.append(nn.ModuleList([*stage, Attention(width, sn_eps)] if attends else stage))
        image = NormalisedConv(widths[-1], 3, 3, sn_eps)
        self.output_layer = nn.Sequential(Norm(widths[-1], bn_eps), nn.ReLU(), image)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        condition = self.shared(labels)
        conditions = [condition] * len(self.blocks)
        if self.hier:
            z, *rest = z.split(self.piece, 1)
            conditions = [torch.cat([condition, piece], 1) for piece in rest]
        x = self.linear(z).view(len(z), -1, BOTTOM, BOTTOM)
        for stage, said in zip(self.blocks, conditions, strict=True):
            for layer in cast(nn.ModuleList, stage):
                x = layer(x, said)
        return torch.tanh(self.output_layer(x))
