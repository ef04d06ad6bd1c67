"""From what a user's networks take and give to what the benchmark works with: images (N, C, H, W) in [-1, 1].

The networks stay as they are. What has to be converted is converted by hooks on the outermost module, so names of
weights, artefacts and what is cut are the user's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.workloads.spec import DiscriminatorSpec, OutputSpec


@dataclass(frozen=True)
class ToImages:
    """A forward hook: what a generator returned as images ``(N, C, H, W)`` in [-1, 1]. Raises TypeError."""

    spec: OutputSpec

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> Tensor:
        spec = self.spec
        images = picked(output, spec.pick, "the generator", "output.pick")
        if spec.shape is not None and images.ndim and len(images):
            images = images.reshape(len(images), *_as_layout(spec.shape, spec.layout))
        if images.ndim != 4:
            raise TypeError(
                f"the generator returned a tensor of {images.ndim} dimensions, {tuple(images.shape)}; images have 4. "
                "For flat images say output.shape = [channels, height, width]."
            )
        if inputs and len(images) != len(inputs[0]):
            raise TypeError(
                f"the generator made {len(images)} images, {tuple(images.shape)}, of {len(inputs[0])} inputs; expected "
                "one of each"
            )
        if spec.layout == "nhwc":
            images = images.permute(0, 3, 1, 2)
        if spec.channels is not None and images.shape[1] != spec.channels:
            images = images[:, : spec.channels]
        low, high = spec.range
        return images if (low, high) == (-1.0, 1.0) else (images - low) * (2 / (high - low)) - 1


@dataclass(frozen=True)
class FromImages:
    """A forward pre-hook: images in [-1, 1] as a discriminator takes them."""

    low: float
    high: float
    layout: str

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        images = inputs[0]
        if (self.low, self.high) != (-1.0, 1.0):
            images = (images + 1) * ((self.high - self.low) / 2) + self.low
        return (images.permute(0, 2, 3, 1) if self.layout == "nhwc" else images, *inputs[1:])


PROBABILITY_MARGIN = 1e-6
"""Probabilities nearer to 0 or 1 have no finite logit in float32."""


@dataclass(frozen=True)
class ToLogits:
    """A forward hook: what a discriminator returned as one logit an image ``(N,)``; of patches the mean."""

    pick: int | str | None
    probability: bool

    def __call__(self, module: nn.Module, inputs: object, output: Any) -> Tensor:
        found = picked(output, self.pick, "the discriminator", "discriminator.pick")
        if self.probability:
            found = torch.logit(found.float(), eps=PROBABILITY_MARGIN)
        return found.flatten(1).mean(1) if found.ndim > 1 else found


def picked(output: Any, pick: int | str | None, who: str, key: str) -> Tensor:
    """The tensor that is meant. Raises TypeError, with what there is to choose from."""
    found = output
    if pick is not None:
        try:
            found = getattr(output, pick) if isinstance(pick, str) and hasattr(output, pick) else output[pick]
        except (LookupError, TypeError, AttributeError):
            raise TypeError(f"{who} returned {_described(output)}; {key} = {pick!r} is not in it.") from None
    if not isinstance(found, Tensor):
        raise TypeError(f"{who} returned {_described(found)}, expected a tensor. Say which with {key}.")
    return found


def adapt_generator(module: nn.Module, spec: OutputSpec) -> nn.Module:
    """``module`` with the hook that makes images of what it returns, and notices where these are none."""
    module.register_forward_hook(ToImages(spec))
    return module


def is_adapted(module: nn.Module) -> bool:
    """Whether `adapt_generator` or `adapt_discriminator` has had this module before."""
    return any(isinstance(hook, ToImages | ToLogits) for hook in module._forward_hooks.values())


def adapt_discriminator(module: nn.Module, spec: DiscriminatorSpec, output: OutputSpec) -> nn.Module:
    """``module`` with hooks so that it takes images in [-1, 1] and gives logits ``(N,)``."""
    low, high = spec.range or output.range
    layout = spec.layout or output.layout
    if (low, high, layout) != (-1.0, 1.0, "nchw"):
        module.register_forward_pre_hook(FromImages(low, high, layout))
    module.register_forward_hook(ToLogits(spec.pick, spec.output == "probability"))
    return module


def _as_layout(shape: tuple[int, int, int], layout: str) -> tuple[int, int, int]:
    channels, height, width = shape
    return (height, width, channels) if layout == "nhwc" else (channels, height, width)


def _described(thing: Any) -> str:
    """``a tuple of 2: tensor (4, 3, 8, 8), NoneType``."""
    if isinstance(thing, Tensor):
        return f"a tensor {tuple(thing.shape)}"
    if isinstance(thing, dict):
        return f"a dict with {', '.join(f'{key!r}: {_described(value)}' for key, value in list(thing.items())[:6])}"
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)}: {', '.join(_described(item) for item in thing[:6])}"
    return type(thing).__name__
