"""BigGAN's layers under spectral norm: the weight is divided by its largest singular value in each forward pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Normalised(nn.Module):
    """What both layers share: estimates of the left singular vector and of the singular value."""

    weight: Tensor
    u0: Tensor
    sv0: Tensor
    sn_eps: float

    def _remember(self, outputs: int, eps: float) -> None:
        self.sn_eps = eps
        self.register_buffer("u0", torch.randn(1, outputs))
        self.register_buffer("sv0", torch.ones(1))

    def W_(self) -> Tensor:  # noqa: N802 - the name by which `strategies.baking` knows such layers
        """The weight that is used: one step of power iteration. In training the buffers follow."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(self.u0 @ matrix, eps=self.sn_eps)
            u = F.normalize(v @ matrix.t(), eps=self.sn_eps)
        largest = (v @ matrix.t() @ u.t()).squeeze()
        if self.training:
            with torch.no_grad():
                self.u0.copy_(u)
                self.sv0.fill_(largest)
        return self.weight / largest


class NormalisedConv(nn.Conv2d, Normalised):
    """A convolution that keeps height and width, under spectral norm."""

    def __init__(self, width_in: int, width: int, kernel: int, eps: float, bias: bool = True) -> None:
        super().__init__(width_in, width, kernel, padding=kernel // 2, bias=bias)
        self._remember(width, eps)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.W_(), self.bias, padding=self.padding)


class NormalisedLinear(nn.Linear, Normalised):
    """A linear layer under spectral norm."""

    def __init__(self, size_in: int, size: int, eps: float, bias: bool = True) -> None:
        super().__init__(size_in, size, bias=bias)
        self._remember(size, eps)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.W_(), self.bias)
