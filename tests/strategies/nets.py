"""Small generators whose channels are coupled in every way that the built-in ones have, and a few more."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.workloads.networks import DcganGenerator, DummyGenerator, MlpGenerator
from strategies.allocation import Layout
from strategies.base import Context
from strategies.layers import named_weights


class Residual(nn.Module):
    """A sum couples the stem's outputs with those of the branch; the branch has a width of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ConvTranspose2d(5, 8, 4, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 6, 3, padding=1)
        self.up = nn.Conv2d(6, 8, 1)
        self.image = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(z[:, :, None, None])))
        x = x + self.up(torch.sigmoid(self.down(x)))
        return torch.tanh(self.image(x))


class Flattened(nn.Module):
    """Each of the 6 channels becomes 9 inputs of the linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.ConvTranspose2d(5, 6, 3, bias=False),
            nn.BatchNorm2d(6),
            nn.Sigmoid(),
            nn.Flatten(),
            nn.Linear(54, 7),
            nn.LeakyReLU(0.2),
            nn.Linear(7, 16),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        flat: Tensor = self.net(z[:, :, None, None])
        return flat.view(-1, 1, 4, 4)


FACTORIES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "dummy": (DummyGenerator, 8),
    "dcgan": (lambda: DcganGenerator(latent=8, channels=16), 8),
    "mlp": (lambda: MlpGenerator(latent=6, widths=(7, 9, 5), side=4), 6),
    "residual": (Residual, 5),
    "flattened": (Flattened, 5),
}


def generator(name: str, seed: int = 0) -> nn.Module:
    """A generator in eval mode whose every parameter and BatchNorm statistic says something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FACTORIES[name][0]()
        with torch.no_grad():
            for parameter in model.parameters():
                nn.init.normal_(parameter, 0.0, 0.3)
            for norm in (m for m in model.modules() if isinstance(m, _BatchNorm)):
                assert norm.running_mean is not None and norm.running_var is not None
                norm.weight.add_(1.0)
                norm.running_mean.normal_(0.0, 0.5)
                norm.running_var.uniform_(0.5, 2.0)
    return model.eval()


def latents(name: str, count: int = 2, seed: int = 1) -> tuple[Tensor, ...]:
    return (torch.randn(count, FACTORIES[name][1], generator=torch.Generator().manual_seed(seed)),)


def context(model: nn.Module, example_inputs: tuple[Tensor, ...], seed: int = 0) -> Context:
    return Context(model, example_inputs, torch.Generator().manual_seed(seed))


def context_of(name: str, seed: int = 0) -> Context:
    return context(generator(name), latents(name), seed)


def layout_of(model: nn.Module, inputs: tuple[Tensor, ...] = ()) -> Layout:
    """What an allocation is told about ``model``; nothing of it can be left out."""

    def without(name: str, gone: Tensor) -> nn.Module:
        raise AssertionError(f"nobody asked for {name} without {len(gone)} units")

    shapes = {name: weight.shape for name, weight in named_weights(model)}
    return Layout(context(model, inputs), shapes, without)
