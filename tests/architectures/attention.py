"""SAGAN (Zhang et al. 2019): self-attention over positions, spectral normalisation in the generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.architectures.convolutional import spectral


class SelfAttention(nn.Module):
    """Queries and keys of an eighth of the width, values of the whole; a learned share is added."""

    def __init__(self, width: int, norm: str | None) -> None:
        super().__init__()
        wrap = spectral(norm)
        self.query, self.key = wrap(nn.Conv2d(width, width // 4, 1)), wrap(nn.Conv2d(width, width // 4, 1))
        self.value = wrap(nn.Conv2d(width, width // 2, 1))
        self.out = wrap(nn.Conv2d(width // 2, width, 1))
        self.gamma = nn.Parameter(torch.full((1,), 0.7))

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, side = x.shape
        query = self.query(x).flatten(2).permute(0, 2, 1)
        key = F.max_pool2d(self.key(x), 2).flatten(2)
        value = F.max_pool2d(self.value(x), 2).flatten(2)
        attention = torch.softmax(torch.bmm(query, key), dim=-1)
        read = torch.bmm(value, attention.permute(0, 2, 1)).view(batch, -1, height, side)
        return self.gamma * self.out(read) + x


class Sagan(nn.Module):
    """``(B, 8) -> (B, 3, 16, 16)``."""

    def __init__(self, norm: str | None = None, latent: int = 8, width: int = 16) -> None:
        super().__init__()
        wrap = spectral(norm)
        self.stem = nn.Sequential(wrap(nn.ConvTranspose2d(latent, 2 * width, 4)), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.up = nn.Sequential(wrap(nn.ConvTranspose2d(2 * width, width, 4, 2, 1)), nn.BatchNorm2d(width), nn.ReLU())
        self.attention = SelfAttention(width, norm)
        self.image = nn.ConvTranspose2d(width, 3, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.image(self.attention(self.up(self.stem(z.view(z.size(0), z.size(1), 1, 1))))))
