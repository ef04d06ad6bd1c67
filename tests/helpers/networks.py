"""Networks that only tests need."""

from __future__ import annotations

from torch import Tensor, nn

from bench.workloads.base import InputSpec, Workload
from bench.workloads.builtin import DUMMY
from bench.workloads.recipe import Recipe


class TinyMlp(nn.Module):
    """``(B, 4) -> (B, 1, 8, 8)``, without normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 64), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.net(z).view(-1, 1, 8, 8)
        return image


TINY_MLP = Workload(
    name="tiny-mlp",
    summary="a fully connected generator",
    generator=TinyMlp,
    discriminator=None,
    inputs=InputSpec(latent=4),
    data=DUMMY.data,
    extractor=DUMMY.extractor,
    recipe=Recipe(spec=DUMMY.recipe.spec, steps=1),
    weights="initialisation",
)
"""Without BatchNorm and without a discriminator."""
