"""How differently a judge sees two images, layer by layer: LPIPS' formula (Zhang et al. 2018, eq. 1) without the
weights that were learnt from people's answers, and of whichever network judges, so it goes by another name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from bench.base.errors import UserError
from bench.tasks.generation.extractors import Extractor

TINY = 1e-10
"""Where no channel says anything."""


def layer_distance(
    extractor: Extractor, a: Tensor, b: Tensor, device: torch.device | str = "cpu"
) -> NDArray[np.float64]:
    """``(N,)``: of each pair of uint8 images ``(N, C, H, W)``, the mean over the judge's layers of

        mean_hw |x_hw / |x_hw| - y_hw / |y_hw||^2

    where x_hw and y_hw are all channels of one place of what a convolution or linear layer reads, the first but the
    images themselves left out. 0 for equal images, at most 4 (2 where nothing is negative); lower is more alike.

    Raises:
        UserError: a judge without a second such layer that sees the images one by one.
        ValueError: different shapes.
    """
    if a.shape != b.shape:
        raise ValueError(f"{tuple(a.shape)} and {tuple(b.shape)} cannot be compared one by one")
    module, parts = extractor.module.to(device), []
    for start in range(0, len(a), extractor.batch):
        both = torch.cat([images[start : start + extractor.batch] for images in (a, b)])
        with torch.inference_mode(), _reading(module, len(both) // 2) as found:
            module(extractor.prepare(both.to(device)))
        if not found:
            raise UserError(
                f"quality.metrics: 'layer-distance' looks into the layers of extractor {extractor.name!r}, which has "
                "no second convolution or linear layer. Leave it out, or use another extractor."
            )
        parts.append(torch.stack(found).mean(0).cpu())
    return np.asarray(torch.cat(parts).double().numpy())


@contextlib.contextmanager
def _reading(module: nn.Module, pairs: int) -> Iterator[list[Tensor]]:
    """While it lasts a distance ``(pairs,)`` is kept for each layer that runs, but the first."""
    found: list[Tensor] = []
    first = True

    def look(_: nn.Module, read: tuple[Any, ...]) -> None:
        nonlocal first
        if first:
            first = False
        elif read and isinstance(read[0], Tensor) and len(read[0]) == 2 * pairs:
            found.append(_apart(read[0].float(), pairs))

    layers = [layer for layer in module.modules() if isinstance(layer, (_ConvNd, nn.Linear))]
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _apart(read: Tensor, pairs: int) -> Tensor:
    """Of what a layer reads, images first; channels come next, or last where there are no places of an image."""
    channels = 1 if read.ndim != 3 else 2
    unit = read / (read.norm(dim=channels, keepdim=True) + TINY)
    squared: Tensor = (unit[:pairs] - unit[pairs:]).square().sum(channels)
    return squared.reshape(pairs, -1).mean(1)
