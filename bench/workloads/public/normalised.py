"""Layers whose weight is divided by its largest singular value in each forward pass (Miyato et al. 2018).

The estimate of the singular vector is a buffer under the name that it has in public files.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Normalised(nn.Module):
    """What both layers share. ``names``: of the buffers with the left singular vector, and the singular value."""

    weight: Tensor

    def _remember(self, outputs: int, eps: float, names: tuple[str, str]) -> None:
        self.sn_eps, self.sn_names = eps, names
        self.register_buffer(names[0], torch.randn(1, outputs))
        self.register_buffer(names[1], torch.ones(1))

    def W_(self) -> Tensor:  # noqa: N802 - the name by which `strategies.baking` knows such layers
        """The weight that is used: one step of power iteration. In training the buffers follow."""
        matrix = self.weight.flatten(1)
        vector, value = (cast(Tensor, getattr(self, name)) for name in self.sn_names)
        with torch.no_grad():
            v = F.normalize(vector @ matrix, eps=self.sn_eps)
            u = F.normalize(v @ matrix.t(), eps=self.sn_eps)
        largest = (v @ matrix.t() @ u.t()).squeeze()
        if self.training:
            with torch.no_grad():
                vector.copy_(u)
                value.fill_(largest)
        return self.weight / largest


class NormalisedConv(nn.Conv2d, Normalised):
    """A convolution that keeps height and width, under spectral norm."""

    def __init__(
        self, width_in: int, width: int, kernel: int, eps: float, names: tuple[str, str], bias: bool = True
    ) -> None:
        super().__init__(width_in, width, kernel, padding=kernel // 2, bias=bias)
        self._remember(width, eps, names)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.W_(), self.bias, padding=self.padding)


class NormalisedLinear(nn.Linear, Normalised):
    """A linear layer under spectral norm."""

    def __init__(self, size_in: int, size: int, eps: float, names: tuple[str, str], bias: bool = True) -> None:
        super().__init__(size_in, size, bias=bias)
        self._remember(size, eps, names)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.W_(), self.bias)
