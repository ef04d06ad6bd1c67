"""How well a discriminator tells images apart."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.records import Number
from bench.tasks.generation.extractors import centred
from bench.workloads.generate import batches

D_ACCURACY_VERSION = "logit-sign-1"

BATCH = 250


def says_real(
    discriminator: nn.Module, images: Tensor, device: torch.device | str = "cpu", *, given: tuple[Tensor, ...] = ()
) -> float:
    """Share of uint8 images ``(N >= 1, C, H, W)`` whose logit is above 0, in eval mode; D is left as it was.

    All images, real ones too, come from 256 levels, so D cannot tell them apart by that.

    Args:
        given: what D takes besides images, ``(N, ...)`` each.
    """
    if images.dtype != torch.uint8 or not len(images):
        raise ValueError(f"at least one uint8 image is needed, found {images.dtype} {tuple(images.shape)}")
    modes = {module: module.training for module in discriminator.modules()}
    place = next((p.device for p in discriminator.parameters()), torch.device("cpu"))
    discriminator.to(device).eval()  # not in inference mode: what is moved there cannot be trained afterwards
    try:
        with torch.inference_mode():
            named = sum(
                int((discriminator(centred(part), *besides).float() > 0).sum())
                for part, *besides in batches((images, *given), BATCH, device)
            )
    finally:
        discriminator.to(place)
        for module, mode in modes.items():
            module.training = mode
    return named / len(images)


def accuracy_numbers(shares: Mapping[str, tuple[float, int]], shown: str) -> dict[str, Number]:
    """``d-accuracy-SET`` for each set of images: the share of them that D names rightly, and how many they are.

    Args:
        shown: which real images were.
    """
    return {
        f"d-accuracy-{name}": Number(
            value=share,
            unit="share",
            direction="none",
            kind="stochastic",
            version=f"{D_ACCURACY_VERSION}/{shown}",
            num_images=count,
        )
        for name, (share, count) in shares.items()
    }
