"""StyleGAN2 (Karras et al. 2020): names of the PyTorch port by rosinality, entry ``g_ema`` of its files.

NVIDIA's own files are pickles of Python objects and are never opened; the port's ``convert_weight.py`` makes such
files of them. Noise maps are those of the file (``noises.*``), so that an image depends on ``z`` alone, or inputs.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = (1.0, 3.0, 3.0, 1.0)
SLOPE, GAIN = 0.2, math.sqrt(2)
EPS = 1e-8


def _kernel() -> Tensor:
    """The low-pass filter ``(4, 4)`` for twice the size: it sums to 4."""
    taps = torch.tensor(TAPS)
    return torch.outer(taps, taps) / taps.sum() ** 2 * 4


def _each_channel(kernel: Tensor, x: Tensor) -> Tensor:
    """The kernel as the weight of a convolution in as many groups as ``x`` has channels."""
    return kernel[None, None].repeat(x.shape[1], 1, 1, 1)


class PixelNorm(nn.Module):
    """Rows of length ``sqrt(C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPS)


class EqualLinear(nn.Module):
    """A linear layer whose weight is scaled when it is used (equalised learning rate).

    Args:
        lr_mul: of the mapping network: scales weight and bias once more.
        activate: a leaky ReLU after it.
    """

    def __init__(self, size_in: int, size: int, bias: float = 0.0, lr_mul: float = 1.0, activate: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size, size_in) / lr_mul)
        self.bias = nn.Parameter(torch.full((size,), bias))
        self.scale, self.lr_mul, self.activate = lr_mul / math.sqrt(size_in), lr_mul, activate

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)
        return F.leaky_relu(y, SLOPE) * GAIN if self.activate else y


class Blur(nn.Module):
    """The low-pass filter after a transposed convolution: ``(2H + 1, 2W + 1) -> (2H, 2W)``."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _kernel())

    def forward(self, x: Tensor) -> Tensor:
        kernel = _each_channel(cast(Tensor, self.kernel), x)
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), kernel, groups=x.shape[1])


class Upsample(nn.Module):
    """``(H, W) -> (2H, 2W)`` by the low-pass filter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _kernel())

    def forward(self, x: Tensor) -> Tensor:
        kernel = _each_channel(cast(Tensor, self.kernel), x)
        return F.conv_transpose2d(x, kernel, stride=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by the style of each image, and outputs to unit variance.

    The images of a batch are the groups of one convolution, since each has a weight of its own.
    """

    def __init__(
        self, width_in: int, width: int, kernel: int, style: int, *, demodulate: bool = True, upsample: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, width, width_in, kernel, kernel))
        self.modulation = EqualLinear(style, width_in, bias=1.0)
        self.scale = 1 / math.sqrt(width_in * kernel**2)
        self.demodulate = demodulate
        if upsample:
            self.blur = Blur()

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        batch, width_in, height, side = x.shape
        width, kernel = self.weight.shape[1], self.weight.shape[-1]
        weight = self.scale * self.weight * self.modulation(w).view(batch, 1, width_in, 1, 1)
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum([2, 3, 4], keepdim=True) + EPS)
        images = x.view(1, batch * width_in, height, side)
        if not hasattr(self, "blur"):
            weight = weight.view(batch * width, width_in, kernel, kernel)
            y = F.conv2d(images, weight, padding=kernel // 2, groups=batch)
            return y.view(batch, width, height, side)
        weight = weight.transpose(1, 2).reshape(batch * width_in, width, kernel, kernel)
        y = F.conv_transpose2d(images, weight, stride=2, groups=batch)
        blurred: Tensor = self.blur(y.view(batch, width, *y.shape[2:]))
        return blurred


class NoiseInjection(nn.Module):
    """Adds a map of noise, with a learned strength."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight * noise


class Activation(nn.Module):
    """Bias and leaky ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias[None, :, None, None], SLOPE) * GAIN


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU."""

    def __init__(self, width_in: int, width: int, style: int, upsample: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(width_in, width, 3, style, upsample=upsample)
        self.noise = NoiseInjection()
        self.activate = Activation(width)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        y: Tensor = self.activate(self.noise(self.conv(x, w), noise))
        return y


class ToRgb(nn.Module):
    """The image at one resolution, added to the enlarged one of the resolution below."""

    def __init__(self, width: int, style: int, upsample: bool = True) -> None:
        super().__init__()
        if upsample:
            self.upsample = Upsample()
        self.conv = ModulatedConv(width, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, w: Tensor, below: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x, w) + self.bias
        return y if below is None else y + self.upsample(below)


class Constant(nn.Module):
    """The learned ``(C, 4, 4)`` that every image starts from."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, width, 4, 4))

    def forward(self, batch: int) -> Tensor:
        return self.input.repeat(batch, 1, 1, 1)


class Generator(nn.Module):
    """``z (B, style_dim)``, or ``z`` and a noise map for each styled convolution, ``-> (B, 3, size, size)``.

    Images are in [-1, 1], with values beyond. 30,034,338 parameters at 256, 30,370,060 at 1024 (config F).
    The noise maps, if given, are ``(B, 1, r, r)`` with r = 4, 8, 8, 16, 16, ... ``size``, ``size``.

    Args:
        size: 8, 16, ... 1024.
        style_dim: length of ``z`` and of the style.
        n_mlp: layers of the mapping network.
        channel_multiplier: 2 for config F, 1 for E and smaller; scales the resolutions above 32.
        lr_mlp: scale of the mapping network's weights.
        truncation: below 1 styles are drawn towards their mean ``latent_avg``, which the checkpoint has to bring.
        widest: channels at the lowest resolutions; smaller for tests.
    """

    def __init__(
        self,
        size: int = 256,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: int = 2,
        lr_mlp: float = 0.01,
        truncation: float = 1.0,
        widest: int = 512,
    ) -> None:
        super().__init__()
        if size < 8 or size & (size - 1):
            raise ValueError(f"size {size}: expected 8, 16, 32, ... 1024")
        sides = [2**k for k in range(2, size.bit_length())]
        widths = [min(widest, 32 * widest * channel_multiplier // side) for side in sides]
        mapping = [EqualLinear(style_dim, style_dim, lr_mul=lr_mlp, activate=True) for _ in range(n_mlp)]
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = Constant(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], style_dim)
        self.to_rgb1 = ToRgb(widths[0], style_dim, upsample=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        for width_in, width in pairwise(widths):
            self.convs += [StyledConv(width_in, width, style_dim, upsample=True), StyledConv(width, width, style_dim)]
            self.to_rgbs.append(ToRgb(width, style_dim))
        for k, side in enumerate([sides[0], *(side for side in sides[1:] for _ in range(2))]):
            self.noises.register_buffer(f"noise_{k}", torch.randn(1, 1, side, side))
        self.truncation = truncation
        if truncation < 1:
            self.register_buffer("latent_avg", torch.zeros(style_dim))

    def forward(self, z: Tensor, *noise: Tensor) -> Tensor:
        maps = noise or tuple(self.noises.buffers())
        if len(maps) != 1 + len(self.convs):
            raise ValueError(f"{len(maps)} noise maps; expected {1 + len(self.convs)}, or none for the file's own")
        w = self.style(z)
        if self.truncation < 1:
            mean = cast(Tensor, self.latent_avg)
            w = mean + self.truncation * (w - mean)
        x = self.conv1(self.input(len(z)), w, maps[0])
        image: Tensor = self.to_rgb1(x, w)
        for k, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * k](x, w, maps[1 + 2 * k])
            x = self.convs[2 * k + 1](x, w, maps[2 + 2 * k])
            image = to_rgb(x, w, image)
        return image
