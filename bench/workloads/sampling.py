"""Drawing the inputs of a user's generator: noise, labels, images, fixed maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.base.errors import UserError
from bench.workloads.images import read_folder
from bench.workloads.spec import InputPart, WorkloadSpec, flat


@dataclass(frozen=True)
class Inputs:
    """The inputs of a generator, one part for each of its positional arguments."""

    spec: WorkloadSpec

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """``n`` inputs from ``rng``, on the CPU: one tensor ``(n, ...)`` for each part, float32, labels int64.

        The parts are drawn one after the other. As for built-in workloads: draw all inputs of an image set at once.
        """
        return tuple(self._draw(i, part, n, rng) for i, part in enumerate(self.spec.inputs))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What two draws from one stream must share to be equal; JSON-able."""
        parts = [flat(part) for part in self.spec.inputs]
        for i, (part, said) in enumerate(zip(self.spec.inputs, parts, strict=True)):
            if part.kind == "images":
                said["source"] = self._pool(i, part)[1]
        return {"parts": parts}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of folders of images, or done to them."""
        images = [(i, part) for i, part in enumerate(self.spec.inputs) if part.kind == "images"]
        return tuple(f"inputs: {note}" for i, part in images for note in self._pool(i, part)[2])

    def __repr__(self) -> str:
        return f"Inputs({self.identity})"

    def _draw(self, i: int, part: InputPart, n: int, rng: torch.Generator) -> Tensor:
        shape = (n, *(part.shape or ()))
        if part.kind == "labels":
            assert part.classes is not None
            labels = torch.randint(part.classes, (n,), generator=rng)
            return F.one_hot(labels, part.classes).float() if part.form == "one-hot" else labels
        if part.kind == "images":
            images, low, high = self._pool(i, part)[0], *part.range
            chosen = torch.cat([torch.randperm(len(images), generator=rng) for _ in range(math.ceil(n / len(images)))])
            return images[chosen[:n]].float().div_(255).mul_(high - low).add_(low)
        if part.kind == "fixed":
            noise = torch.randn(shape[1:], generator=torch.Generator().manual_seed(part.seed))
            one = noise if part.value is None else torch.full(shape[1:], part.value)
            return one.expand(shape).clone()
        return _noise(part, shape, rng) * part.scale

    @cached_property
    def _pools(self) -> dict[int, tuple[Tensor, str, tuple[str, ...]]]:
        return {}

    def _pool(self, i: int, part: InputPart) -> tuple[Tensor, str, tuple[str, ...]]:
        """uint8 images of one part, their fingerprint, and what is to be said of them; read once."""
        if i not in self._pools:
            assert part.source is not None
            assert part.shape is not None
            channels, height, width = part.shape
            here = f"workload {self.spec.name!r}, inputs[{i}].source"
            found = read_folder(self.spec.at(part.source), (channels, height, width), resize=True, here=here)
            if len(found.images) < 2:
                raise UserError(f"{here}: {self.spec.at(part.source)} holds {len(found.images)} images; at least 2.")
            self._pools[i] = (torch.from_numpy(found.images), found.fingerprint, found.notes)
        return self._pools[i]


def _noise(part: InputPart, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    if part.kind == "normal":
        return torch.randn(shape, generator=rng)
    uniform = torch.rand(shape, generator=rng, dtype=torch.float32 if part.kind == "uniform" else torch.float64)
    if part.kind == "uniform":
        low, high = part.range
        return uniform * (high - low) + low
    # Truncated: the inverse of the normal distribution function on the part of (0, 1) that lies within the bound.
    inside = math.erf(part.bound / math.sqrt(2))
    return (torch.erfinv((2 * uniform - 1) * inside) * math.sqrt(2)).float()
