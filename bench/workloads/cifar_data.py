"""CIFAR-10 from the user's disk, or what is left of it in this package: the statistics of its features."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import torch

from bench.base.errors import UserError
from bench.workloads.data import DATA_SOURCES, ImageData, Statistics, split_by_hash

PLACE = "GANPRUNE_CIFAR10"
"""Names the folder in which torchvision's ``cifar-10-batches-py`` lies; by default ``~/.cache/ganprune``."""


@DATA_SOURCES.register("cifar10")
@functools.cache
def cifar10() -> ImageData:
    """The 50,000 training images of CIFAR-10 where torchvision's files are, else statistics of the features of
    `cifar-net` on those that it was trained on: enough to judge by, not to train on. Nothing is downloaded.

    Raises:
        UserError: there are files, and they cannot be read.
    """
    root = Path(os.environ.get(PLACE) or Path.home() / ".cache" / "ganprune")
    if not (root / "cifar-10-batches-py").is_dir():
        return statistics()
    from torchvision.datasets import CIFAR10

    try:
        found = CIFAR10(str(root), train=True)
    except (RuntimeError, OSError) as error:
        raise UserError(f"data source 'cifar10': {root} cannot be read as torchvision's CIFAR-10 ({error}).") from error
    images = np.ascontiguousarray(found.data.transpose(0, 3, 1, 2))
    return split_by_hash("cifar10", images, np.array(found.targets, np.int64))


def statistics() -> ImageData:
    """Without any image."""
    from bench.workloads.checkpoints import shipped_folder
    from bench.workloads.store import read_weights, state_hash

    state = read_weights(shipped_folder("cifar-net") / "reference.safetensors")
    none, labels = torch.empty(0, 3, 32, 32, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    gaussian = Statistics(state["mean"].double().numpy(), state["covariance"].double().numpy())
    return ImageData("cifar10-statistics", none, labels, none, labels, state_hash(state), gaussian)
