"""StyleGAN2 (Karras et al. 2020): mapping network, modulated and demodulated convolutions, noise maps, skip RGB.

Two ways in which people write it: layers that hold their weight and multiply it themselves (equalised learning
rate, grouped convolution over the batch), and one function that all layers call.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOISE_SIDES = (4, 8, 8, 16, 16)


class EqualLinear(nn.Module):
    def __init__(self, in_dim: int, out_dim: int, bias_init: float = 0.0, activate: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim))
        self.bias = nn.Parameter(torch.full((out_dim,), bias_init))
        self.activate = activate
        self.scale = 1 / math.sqrt(in_dim)

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.scale, bias=self.bias)
        return F.leaky_relu(y, 0.2) * math.sqrt(2) if self.activate else y


class Blur(nn.Module):
    """A fixed low-pass filter on each channel."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", torch.outer(taps, taps) / 64 * 4)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel
        assert isinstance(kernel, Tensor)
        x = F.pad(x, (1, 1, 1, 1))
        return F.conv2d(x, kernel[None, None].repeat(x.shape[1], 1, 1, 1), groups=x.shape[1])


class ModulatedConv(nn.Module):
    def __init__(
        self, in_channel: int, out_channel: int, kernel_size: int, style_dim: int, *, demodulate: bool, upsample: bool
    ) -> None:
        super().__init__()
        self.kernel_size, self.in_channel, self.out_channel = kernel_size, in_channel, out_channel
        self.demodulate, self.upsample = demodulate, upsample
        self.blur = Blur()
        self.scale = 1 / math.sqrt(in_channel * kernel_size**2)
        self.weight = nn.Parameter(torch.randn(1, out_channel, in_channel, kernel_size, kernel_size))
        self.modulation = EqualLinear(style_dim, in_channel, bias_init=1.0)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        batch, in_channel, height, width = x.shape
        style = self.modulation(style).view(batch, 1, in_channel, 1, 1)
        weight = self.scale * self.weight * style
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8).view(batch, self.out_channel, 1, 1, 1)
        k = self.kernel_size
        weight = weight.view(batch * self.out_channel, in_channel, k, k)
        x = x.view(1, batch * in_channel, height, width)
        if not self.upsample:
            y = F.conv2d(x, weight, padding=k // 2, groups=batch)
            return y.view(batch, self.out_channel, *y.shape[2:])
        weight = weight.view(batch, self.out_channel, in_channel, k, k).transpose(1, 2)
        weight = weight.reshape(batch * in_channel, self.out_channel, k, k)
        y = F.conv_transpose2d(x, weight, stride=2, groups=batch)
        return self.blur(y.view(batch, self.out_channel, *y.shape[2:]))


class NoiseInjection(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight * noise


class StyledConv(nn.Module):
    def __init__(self, in_channel: int, out_channel: int, style_dim: int, upsample: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channel, out_channel, 3, style_dim, demodulate=True, upsample=upsample)
        self.noise = NoiseInjection()
        self.bias = nn.Parameter(torch.zeros(1, out_channel, 1, 1))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        y = self.noise(self.conv(x, style), noise)
        return F.leaky_relu(y + self.bias, 0.2) * math.sqrt(2)


class ToRgb(nn.Module):
    def __init__(self, in_channel: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channel, 3, 1, style_dim, demodulate=False, upsample=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x, style) + self.bias
        return y if skip is None else y + F.interpolate(skip, scale_factor=2, mode="bilinear")


class Block(nn.Module):
    def __init__(self, in_channel: int, out_channel: int, style_dim: int) -> None:
        super().__init__()
        self.up = StyledConv(in_channel, out_channel, style_dim, upsample=True)
        self.conv = StyledConv(out_channel, out_channel, style_dim)
        self.rgb = ToRgb(out_channel, style_dim)

    def forward(self, x: Tensor, skip: Tensor, latent: Tensor, noise: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        x = self.up(x, latent[:, 0], noise[0])
        x = self.conv(x, latent[:, 1], noise[1])
        return x, self.rgb(x, latent[:, 2], skip)


class StyleGan2(nn.Module):
    """``(B, 8)`` and five noise maps ``-> (B, 3, 16, 16)``."""

    def __init__(self, style_dim: int = 8, width: int = 12) -> None:
        super().__init__()
        self.style = nn.Sequential(*(EqualLinear(style_dim, style_dim, activate=True) for _ in range(3)))
        self.constant = nn.Parameter(torch.randn(1, width, 4, 4))
        self.first = StyledConv(width, width, style_dim)
        self.first_rgb = ToRgb(width, style_dim)
        self.blocks = nn.ModuleList([Block(width, width, style_dim), Block(width, width - 4, style_dim)])

    def forward(self, z: Tensor, *noise: Tensor) -> Tensor:
        z = z * torch.rsqrt(z.pow(2).mean(1, keepdim=True) + 1e-8)
        latent = self.style(z).unsqueeze(1).repeat(1, 8, 1)
        x = self.first(self.constant.repeat(len(z), 1, 1, 1), latent[:, 0], noise[0])
        image = self.first_rgb(x, latent[:, 1])
        for k, block in enumerate(self.blocks):
            x, image = block(x, image, latent[:, 1 + 3 * k : 4 + 3 * k], noise[1 + 2 * k : 3 + 2 * k])
        return image


def modulated_conv(x: Tensor, weight: Tensor, styles: Tensor, padding: int, demodulate: bool = True) -> Tensor:
    """Scales the features instead of the weights, as one function without a module."""
    batch = x.shape[0]
    x = x * styles.reshape(batch, -1, 1, 1)
    x = F.conv2d(x, weight, padding=padding)
    if demodulate:
        scaled = weight.unsqueeze(0) * styles.reshape(batch, 1, -1, 1, 1)
        x = x * (scaled.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt().reshape(batch, -1, 1, 1)
    return x


class SynthesisLayer(nn.Module):
    """Noise is drawn in the forward pass."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, kernel: int = 3, rgb: bool = False) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, in_channels)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel) / 6)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.tensor(0.1))
        self.rgb, self.padding = rgb, kernel // 2

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = modulated_conv(x, self.weight, self.affine(w) + 1, self.padding, demodulate=not self.rgb)
        if self.rgb:
            return x + self.bias[None, :, None, None]
        x = x + torch.randn(x.shape[0], 1, *x.shape[2:]) * self.noise_strength
        return F.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2)


class FunctionalBlock(nn.Module):
    def __init__(self, width_in: int, width: int, w_dim: int) -> None:
        super().__init__()
        self.conv = SynthesisLayer(width_in, width, w_dim)
        self.rgb = SynthesisLayer(width, 3, w_dim, kernel=1, rgb=True)

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(F.interpolate(x, scale_factor=2, mode="bilinear"), w)
        rgb: Tensor = self.rgb(x, w)
        return x, rgb if image is None else rgb + F.interpolate(image, scale_factor=2, mode="bilinear")


class FunctionalStyleGan2(nn.Module):
    """``(B, 8) -> (B, 3, 16, 16)``."""

    def __init__(self, w_dim: int = 8, width: int = 12) -> None:
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(8, 10), nn.LeakyReLU(0.2), nn.Linear(10, w_dim), nn.LeakyReLU(0.2))
        self.const = nn.Parameter(torch.randn(width, 4, 4))
        self.blocks = nn.ModuleList([FunctionalBlock(width, width, w_dim), FunctionalBlock(width, width - 2, w_dim)])

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(F.normalize(z, dim=1))
        x = self.const.unsqueeze(0).repeat([len(z), 1, 1, 1])
        image: Tensor | None = None
        for block in self.blocks:
            x, image = block(x, image, w)
        assert image is not None
        return image
