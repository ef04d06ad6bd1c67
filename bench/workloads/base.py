"""What a workload is: a trained GAN under test, and everything needed to sample and judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bench.training.loop import TrainingSpec
from strategies.registry import Registry


@dataclass(frozen=True)
class InputSpec:
    """What a generator is fed: a latent vector, one row an image."""

    latent: int
    distribution: Literal["normal", "uniform"] = "normal"

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """``n`` inputs from ``rng``, on the CPU: a tuple with one float32 tensor ``(n, latent)``.

        One draw of ``n`` equals any sequence of smaller draws only if they are cut from it: draw all the
        inputs of an image set at once, then batch.
        """
        if self.distribution == "normal":
            return (torch.randn(n, self.latent, generator=rng),)
        return (torch.rand(n, self.latent, generator=rng) * 2 - 1,)


@dataclass(frozen=True)
class Recipe:
    """How the shipped weights of a workload were, and can again be, trained."""

    spec: TrainingSpec
    steps: int
    rewind_share: float = 0.05
    """The `rewind` snapshot is taken after this share of the steps."""


@dataclass(frozen=True)
class Workload:
    """A GAN under test. The networks are factories: what they return is freshly initialised."""

    name: str
    summary: str
    generator: Callable[[], nn.Module]
    discriminator: Callable[[], nn.Module] | None
    inputs: InputSpec
    data: str
    extractor: str
    recipe: Recipe
    weights: Literal["shipped", "initialisation"] = "shipped"
    """``initialisation``: there is no training; the fresh networks of seed 0 are the checkpoint (tests only)."""


WORKLOADS: Registry[Workload] = Registry("workload")
