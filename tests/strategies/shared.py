"""Generators in which one tensor is used in several places. Inputs: 16 normal numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT = 16


class Tied(nn.Module):
    """Two convolutions share their weight, at two resolutions."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Linear(LATENT, width * 16)
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm2d(width)
        self.image = nn.Conv2d(width, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.first(self.stem(z).view(-1, self.width, 4, 4)))
        x = torch.relu(self.norm(self.second(functional.interpolate(x, scale_factor=2.0))))
        return torch.tanh(self.image(x))


class FixedStem(Tied):
    """The same, with a view that fixes the width of everything that shares."""

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.first(self.stem(z).view(-1, 12, 4, 4)))
        return torch.tanh(self.image(torch.relu(self.second(x))))


class Autoencoder(nn.Module):
    """A transposed convolution undoes a convolution with its own weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(LATENT, 8 * 16)
        self.down = nn.Conv2d(8, 6, 3, 2, 1)
        self.up = nn.ConvTranspose2d(6, 8, 3, 2, 1, output_padding=1)
        self.up.weight = self.down.weight
        self.image = nn.Conv2d(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z).view(len(z), -1, 4, 4)
        return torch.tanh(self.image(torch.relu(self.up(torch.relu(self.down(x))))))


class TwoNames(nn.Module):
    """One module under two names, used under both."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(LATENT, 12 * 16)
        self.a = nn.Conv2d(12, 12, 3, padding=1)
        self.b = self.a
        self.image = nn.Conv2d(12, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.a(self.stem(z).view(len(z), -1, 4, 4)))
        return torch.tanh(self.image(torch.relu(self.b(functional.interpolate(x, scale_factor=2.0)))))


class Table(nn.Module):
    """A linear layer reads the table of an embedding, which comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, LATENT)
        self.stem = nn.Linear(LATENT, 8 * 16)
        self.scores = nn.Linear(LATENT, 10, bias=False)
        self.scores.weight = self.table.weight
        self.mix = nn.Linear(10, LATENT)
        self.image = nn.Conv2d(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mix(torch.relu(self.scores(z + self.table(z[:, :10].argmax(1)))))
        return torch.tanh(self.image(torch.relu(self.stem(x).view(len(z), -1, 4, 4))))


class Blocks(nn.Module):
    """Of three residual blocks the first two share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(LATENT, 12 * 16)
        make = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1))
        self.one, self.two, self.three = (copy.deepcopy(make) for _ in range(3))
        for k in (0, 2):
            self.two[k].weight = self.one[k].weight
        self.image = nn.Conv2d(12, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z).view(len(z), -1, 4, 4)
        for block in (self.one, self.two, self.three):
            x = x + block(x)
        return torch.tanh(self.image(torch.relu(x)))


SHARED: dict[str, Callable[[], nn.Module]] = {
    "tied": Tied,
    "fixed-stem": FixedStem,
    "autoencoder": Autoencoder,
    "two-names": TwoNames,
    "table": Table,
    "blocks": Blocks,
}


def shared(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SHARED[name]().eval()


def inputs(count: int = 1) -> tuple[Tensor, ...]:
    return (torch.randn(count, LATENT, generator=torch.Generator().manual_seed(1)),)


class Judge(nn.Module):
    """A discriminator of whatever size."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.say = nn.Linear(3 * 16, 8), nn.Linear(8, 1)

    def forward(self, images: Tensor) -> Tensor:
        said: Tensor = self.say(torch.relu(self.read(functional.adaptive_avg_pool2d(images, 4).flatten(1))))
        return said
