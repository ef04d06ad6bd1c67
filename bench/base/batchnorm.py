"""Recomputing BatchNorm statistics of a generator from its own inputs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def batchnorms(model: nn.Module) -> list[_BatchNorm]:
    """The BatchNorm layers that keep running statistics."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> bool:
    """Replace every BatchNorm's running mean and variance by the average over ``batches``.

    The averages are cumulative (every batch weighs the same), as for the population statistics of
    Ioffe & Szegedy 2015, algorithm 2. A model without BatchNorm is left alone.

    Returns:
        Whether there was a BatchNorm to recalibrate.
    """
    layers = batchnorms(model)
    if not layers:
        return False
    momenta = [layer.momentum for layer in layers]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's switch for a cumulative average
        layer.train()
    try:
        for inputs in batches:
            model(*inputs)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    return True
