"""DCGANs with a linear stem (Radford et al. 2016), SNGAN's residual generator (Miyato et al. 2018), grouped ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Wrap = Callable[[nn.Module], nn.Module]


def spectral(kind: str | None) -> Wrap:
    """Spectral normalisation by a hook (``old``), as a parametrisation (``new``), or none."""
    if kind == "old":
        return nn.utils.spectral_norm
    if kind == "new":
        return nn.utils.parametrizations.spectral_norm
    return lambda layer: layer


class LinearStem(nn.Module):
    """``view(batch, -1, 4, 4)`` behind a linear layer: each channel is 16 of its neurons."""

    def __init__(self, latent: int = 8, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Linear(latent, width * 4 * 4)
        self.norm = nn.BatchNorm2d(width)
        self.up = nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)
        self.up_norm = nn.BatchNorm2d(width // 2)
        self.image = nn.ConvTranspose2d(width // 2, 3, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z).view(len(z), -1, 4, 4)
        x = F.relu(self.norm(x))
        x = F.relu(self.up_norm(self.up(x)))
        return torch.tanh(self.image(x))


class FixedStem(LinearStem):
    """The width is written out in the forward pass, where nobody can change it."""

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(z).view(-1, 16, 4, 4)))
        x = F.relu(self.up_norm(self.up(x)))
        return torch.tanh(self.image(x))


class ResidualUp(nn.Module):
    """Pre-activation, nearest-neighbour upsampling, a 1 x 1 shortcut."""

    def __init__(self, width_in: int, width: int, wrap: Wrap) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width_in), nn.BatchNorm2d(width)
        self.conv1 = wrap(nn.Conv2d(width_in, width, 3, padding=1))
        self.conv2 = wrap(nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = wrap(nn.Conv2d(width_in, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(F.relu(self.norm1(x)), scale_factor=2)
        y = self.conv2(F.relu(self.norm2(self.conv1(y))))
        return y + self.shortcut(F.interpolate(x, scale_factor=2))


class SnganResnet(nn.Module):
    """``(B, 8) -> (B, 3, 16, 16)``."""

    def __init__(self, norm: str | None = None, latent: int = 8, width: int = 16, bottom: int = 4) -> None:
        super().__init__()
        wrap = spectral(norm)
        self.bottom_width, self.ngf = bottom, width
        self.stem = wrap(nn.Linear(latent, width * bottom * bottom))
        self.blocks = nn.Sequential(ResidualUp(width, width, wrap), ResidualUp(width, width, wrap))
        self.norm = nn.BatchNorm2d(width)
        self.image = wrap(nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z).view(z.shape[0], self.ngf, self.bottom_width, self.bottom_width)
        return torch.tanh(self.image(F.relu(self.norm(self.blocks(x)))))


class Grouped(nn.Module):
    """A depthwise pair (MobileNet), a grouped convolution (ResNeXt) and a grouped transposed one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ConvTranspose2d(8, 12, 4, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.pointwise = nn.Conv2d(12, 16, 1)
        self.grouped = nn.Conv2d(16, 24, 3, padding=1, groups=4)
        self.slope = nn.PReLU(24)
        self.up = nn.ConvTranspose2d(24, 12, 4, 2, 1, groups=2)
        self.up_norm = nn.GroupNorm(4, 12)
        self.spread = nn.ConvTranspose2d(12, 12, 4, 2, 1, groups=12)
        self.image = nn.Conv2d(12, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(z[:, :, None, None])))
        x = F.relu(self.pointwise(self.depthwise(x)))
        x = self.slope(self.grouped(x))
        x = F.relu(self.up_norm(self.up(x)))
        return torch.tanh(self.image(F.relu(self.spread(x))))
