"""Drawing images from a generator."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

BATCH = 100


def batches(inputs: tuple[Tensor, ...], size: int, device: torch.device | str) -> Iterator[tuple[Tensor, ...]]:
    """Cut one draw of inputs into batches on ``device``."""
    for start in range(0, len(inputs[0]), size):
        yield tuple(x[start : start + size].to(device) for x in inputs)


@torch.inference_mode()
def generate(
    generator: nn.Module,
    inputs: tuple[Tensor, ...],
    *,
    device: torch.device | str = "cpu",
    batch: int = BATCH,
) -> tuple[Tensor, bool]:
    """The images of ``inputs`` as uint8 ``(N, C, H, W)`` on the CPU, and whether all outputs were finite.

    Runs in eval mode: BatchNorm uses its running statistics, as whoever deploys the generator does.
    """
    generator.eval()
    images, finite = [], True
    for part in batches(inputs, batch, device):
        output = generator(*part)
        finite = finite and bool(torch.isfinite(output).all())
        images.append(to_uint8(output).cpu())
    return torch.cat(images), finite


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8, rounded to nearest: ``round((x + 1) * 127.5)``. NaN becomes 0."""
    scaled = torch.nan_to_num((images.float() + 1) * 127.5, nan=0.0)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)
