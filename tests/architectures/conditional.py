"""Generators told a class: BatchNorm whose scale and shift depend on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class EmbeddingBatchNorm(nn.Module):
    """Conditional BatchNorm (de Vries et al. 2017; Miyato & Koyama 2018): one row of gains and biases a class."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.bn = nn.BatchNorm2d(num_features, affine=False)
        self.embed = nn.Embedding(num_classes, num_features * 2)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        gamma, beta = self.embed(label).chunk(2, 1)
        shape = (-1, self.num_features, 1, 1)
        return (1 + gamma.view(shape)) * self.bn(x) + beta.view(shape)


class Cgan(nn.Module):
    """``(B, 8), (B,) -> (B, 3, 16, 16)``; the label's embedding joins the noise as well (Mirza & Osindero 2014)."""

    def __init__(self, latent: int = 8, classes: int = 5, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, 4)
        self.stem = nn.ConvTranspose2d(latent + 4, width, 4, bias=False)
        self.norm = EmbeddingBatchNorm(width, classes)
        self.up = nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)
        self.up_norm = EmbeddingBatchNorm(width // 2, classes)
        self.image = nn.ConvTranspose2d(width // 2, 3, 4, 2, 1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        x = torch.cat([z, self.embed(label)], 1)[:, :, None, None]
        x = F.relu(self.norm(self.stem(x), label))
        x = F.relu(self.up_norm(self.up(x), label))
        return torch.tanh(self.image(x))


class LinearBatchNorm(nn.Module):
    """BigGAN's: gain and bias are linear in the shared embedding joined with a piece of the noise."""

    def __init__(self, features: int, condition: int) -> None:
        super().__init__()
        self.gain = nn.utils.spectral_norm(nn.Linear(condition, features, bias=False))
        self.bias = nn.utils.spectral_norm(nn.Linear(condition, features, bias=False))
        self.register_buffer("stored_mean", torch.zeros(features))
        self.register_buffer("stored_var", torch.ones(features))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        gain = (1 + self.gain(y)).view(y.size(0), -1, 1, 1)
        bias = self.bias(y).view(y.size(0), -1, 1, 1)
        mean, var = self.stored_mean, self.stored_var
        assert isinstance(mean, Tensor) and isinstance(var, Tensor)
        return F.batch_norm(x, mean, var, None, None, self.training) * gain + bias


class BigGanBlock(nn.Module):
    def __init__(self, width_in: int, width: int, condition: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = LinearBatchNorm(width_in, condition), LinearBatchNorm(width, condition)
        self.conv1 = nn.utils.spectral_norm(nn.Conv2d(width_in, width, 3, padding=1))
        self.conv2 = nn.utils.spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.utils.spectral_norm(nn.Conv2d(width_in, width, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.bn1(x, y)), scale_factor=2)
        h = self.conv2(F.relu(self.bn2(self.conv1(h), y)))
        return h + self.shortcut(F.interpolate(x, scale_factor=2))


class BigGan(nn.Module):
    """Brock et al. 2019: the noise in pieces, one for each block; ``(B, 12), (B,) -> (B, 3, 16, 16)``."""

    def __init__(self, latent: int = 12, classes: int = 5, width: int = 12, shared: int = 6) -> None:
        super().__init__()
        self.bottom, self.piece = 4, latent // 3
        self.shared = nn.Embedding(classes, shared)
        self.linear = nn.utils.spectral_norm(nn.Linear(self.piece, 2 * width * 4 * 4))
        condition = self.piece + shared
        self.blocks = nn.ModuleList([BigGanBlock(2 * width, width, condition), BigGanBlock(width, width, condition)])
        self.image = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.utils.spectral_norm(nn.Conv2d(width, 3, 3, padding=1))
        )

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        first, *pieces = z.split(self.piece, 1)
        y = self.shared(label)
        x = self.linear(first)
        x = x.view(x.size(0), -1, self.bottom, self.bottom)
        for block, piece in zip(self.blocks, pieces, strict=True):
            x = block(x, torch.cat([y, piece], 1))
        return torch.tanh(self.image(x))
