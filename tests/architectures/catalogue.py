"""All architectures of this folder by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from bench.workloads.networks import DcganGenerator, MlpGenerator
from tests.architectures import attention, conditional, convolutional, images, stylegan

Inputs = Callable[[int, torch.Generator], tuple[Tensor, ...]]
"""So many inputs, drawn."""


@dataclass(frozen=True)
class Architecture:
    """One generator, its inputs, and what is known about it."""

    factory: Callable[[], nn.Module]
    inputs: Inputs
    dense: dict[str, str] = field(default_factory=dict)
    """Layers that have to stay dense beside the outputs -> a part of the reason."""
    outputs: tuple[str, ...] = ()
    """The layers that make the images."""


def noise(*shape: int) -> Inputs:
    return lambda count, rng: (torch.randn(count, *shape, generator=rng),)


def labelled(latent: int, classes: int) -> Inputs:
    return lambda count, rng: (
        torch.randn(count, latent, generator=rng),
        torch.randint(0, classes, (count,), generator=rng),
    )


def style_inputs(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    maps = [torch.randn(count, 1, side, side, generator=rng) for side in stylegan.NOISE_SIDES]
    return torch.randn(count, 8, generator=rng), *maps


ARCHITECTURES: dict[str, Architecture] = {
    "dcgan": Architecture(lambda: DcganGenerator(latent=8, channels=16), noise(8), outputs=("net.9",)),
    "dcgan-linear-stem": Architecture(convolutional.LinearStem, noise(8), outputs=("image",)),
    "dcgan-fixed-stem": Architecture(
        convolutional.FixedStem, noise(8), dense={"stem": "cannot be made smaller"}, outputs=("image",)
    ),
    "mlp": Architecture(lambda: MlpGenerator(latent=6, widths=(16, 24, 12), side=6), noise(6), outputs=("net.6",)),
    "sngan-resnet": Architecture(convolutional.SnganResnet, noise(8), outputs=("image",)),
    "sngan-resnet-sn-old": Architecture(lambda: convolutional.SnganResnet("old"), noise(8), outputs=("image",)),
    "sngan-resnet-sn": Architecture(lambda: convolutional.SnganResnet("new"), noise(8), outputs=("image",)),
    "cgan-embedding-bn": Architecture(conditional.Cgan, labelled(8, 5), outputs=("image",)),
    "sagan": Architecture(attention.Sagan, noise(8), outputs=("image",)),
    "sagan-sn-old": Architecture(lambda: attention.Sagan("old"), noise(8), outputs=("image",)),
    "sagan-sn": Architecture(lambda: attention.Sagan("new"), noise(8), outputs=("image",)),
    "biggan": Architecture(conditional.BigGan, labelled(12, 5), outputs=("image.2",)),
    "stylegan2": Architecture(
        stylegan.StyleGan2, style_inputs, outputs=("first_rgb.conv", "blocks.0.rgb.conv", "blocks.1.rgb.conv")
    ),
    "stylegan2-functional": Architecture(
        stylegan.FunctionalStyleGan2, noise(8), outputs=("blocks.0.rgb", "blocks.1.rgb")
    ),
    "srgan": Architecture(images.Srgan, noise(3, 6, 6), outputs=("image",)),
    "rrdb": Architecture(images.Rrdb, noise(3, 6, 6), outputs=("image",)),
    "unet": Architecture(images.Unet, noise(3, 16, 16), outputs=("image",)),
    "cyclegan-resnet": Architecture(images.CycleGanResnet, noise(3, 16, 16), outputs=("image",)),
    "glu": Architecture(images.FastGan, noise(8), outputs=("image",)),
    "grouped": Architecture(convolutional.Grouped, noise(8), outputs=("image",)),
    "two-outputs": Architecture(images.TwoOutputs, noise(3, 8, 8), outputs=("image", "mask")),
}


def build(name: str, seed: int = 0) -> nn.Module:
    """A generator in eval mode whose every parameter and statistic says something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ARCHITECTURES[name].factory()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            for norm in (m for m in model.modules() if isinstance(m, _NormBase) and m.running_mean is not None):
                assert norm.running_var is not None
                norm.running_mean.normal_(0.0, 0.5)
                norm.running_var.uniform_(0.5, 2.0)
    return model.eval()


def example_inputs(name: str, seed: int = 1) -> tuple[Tensor, ...]:
    return ARCHITECTURES[name].inputs(2, torch.Generator().manual_seed(seed))
