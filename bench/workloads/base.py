"""What a workload is: a trained GAN under test, and everything needed to sample and judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from bench.workloads.condition import UNCONDITIONAL, Condition
from bench.workloads.own import Own
from bench.workloads.recipe import Recipe


class FactoryNote(TypedDict):
    """Which function made the dense network, for a reader: it is not looked for, let alone run."""

    name: str
    """``gan.py:Generator``."""
    arguments: dict[str, Any]
    """Keyword arguments; a factory that is passed to `ganprune.load` is called with them where it takes them."""


class Inputs(Protocol):
    """How the inputs of a generator are drawn."""

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """``n`` inputs from ``rng``, on the CPU: one tensor ``(n, ...)`` for each argument of the generator."""

    @property
    def identity(self) -> dict[str, Any]:
        """What two draws from one stream must share to be equal, JSON-able; part of every key."""


@dataclass(frozen=True)
class InputSpec:
    """What a generator is fed: a latent vector, one row an image, and the number of a class where there are any."""

    latent: int
    distribution: Literal["normal", "uniform"] = "normal"
    classes: int = 0
    """0: the generator takes no labels."""

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """``n`` inputs from ``rng``, on the CPU: float32 ``(n, latent)`` and, with classes, int64 labels ``(n,)``.

        One draw of ``n`` equals any sequence of smaller draws only if they are cut from it: draw all the
        inputs of an image set at once, then batch.
        """
        if self.distribution == "normal":
            z = torch.randn(n, self.latent, generator=rng)
        else:
            z = torch.rand(n, self.latent, generator=rng) * 2 - 1
        return (z, torch.randint(self.classes, (n,), generator=rng)) if self.classes else (z,)

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that do not have their default: a new field leaves the old keys alone."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


@dataclass(frozen=True)
class Workload:
    """A GAN under test. The networks are factories: what they return is freshly initialised."""

    name: str
    summary: str
    generator: Callable[[], nn.Module]
    discriminator: Callable[[], nn.Module] | None
    inputs: Inputs
    data: str
    extractor: str
    recipe: Recipe
    weights: Literal["shipped", "initialisation", "none"] = "shipped"
    """``initialisation``: there is no training; the fresh networks of seed 0 are the checkpoint (tests only).
    ``none``: nothing comes with the package; train it, or bring a checkpoint."""
    image_shape: tuple[int, int, int] | None = None
    """``(C, H, W)`` of what it makes, for those that learn from any folder of images; None: its data says."""
    condition: Condition = UNCONDITIONAL
    """What the discriminator takes besides images."""
    task: str = "generation"
    """What it is for: the name of one of `bench.tasks.TASKS`."""
    own: Own | None = None
    """What a workload of the user's brings with it: its networks, weights and images, and how to make it again."""

    @property
    def factory_note(self) -> FactoryNote | None:
        """The factory of a workload of the user's, for whoever reads an artefact of it."""
        if self.own is None:
            return None
        place, _, function = self.own.spec.factory.rpartition(":")
        file = Path(place).name if place.endswith(".py") else place
        return {"name": f"{file}:{function}", "arguments": dict(self.own.spec.arguments)}
