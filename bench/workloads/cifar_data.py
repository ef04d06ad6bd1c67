"""CIFAR-10 from the user's disk, or what is left of it in this package: the statistics of its features."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bench.base.errors import UserError
from bench.workloads.data import DATA_SOURCES, ImageData, Statistics, split_by_hash
from bench.workloads.images import read_folder

PLACE = "GANPRUNE_CIFAR10"
"""Names the folder in which torchvision's ``cifar-10-batches-py`` lies, or the pictures as files
(``cifar10-pictures/CLASS/NAME``); by default ``~/.cache/ganprune``."""

PICTURES = "cifar10-pictures"

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In the order of the labels, which is that of the alphabet."""


@DATA_SOURCES.register("cifar10")
@functools.cache
def cifar10() -> ImageData:
    """The 50,000 training images of CIFAR-10 where torchvision's files are, or else picture files of them; else
    statistics of the features of `cifar-net` on those that it was trained on: enough to judge by, not to train on.
    Nothing is downloaded.

    Raises:
        UserError: there are files, and they cannot be read.
    """
    root = Path(os.environ.get(PLACE) or Path.home() / ".cache" / "ganprune")
    if not (root / "cifar-10-batches-py").is_dir():
        return of_pictures(root / PICTURES) if (root / PICTURES).is_dir() else statistics()
    from torchvision.datasets import CIFAR10

    try:
        found = CIFAR10(str(root), train=True)
    except (RuntimeError, OSError) as error:
        raise UserError(f"data source 'cifar10': {root} cannot be read as torchvision's CIFAR-10 ({error}).") from error
    images = np.ascontiguousarray(found.data.transpose(0, 3, 1, 2))
    return split_by_hash("cifar10", images, np.array(found.targets, np.int64))


def of_pictures(folder: Path) -> ImageData:
    """Images in one folder for each class, as several copies of CIFAR-10 come; a note says where they are lossy.

    Raises:
        UserError: other folders than the ten classes, a picture that cannot be read or is not of 32 x 32 pixels.
    """
    here = "data source 'cifar10'"
    found = read_folder(folder, (3, 32, 32), resize=False, here=here)
    if found.classes != CLASSES:
        raise UserError(
            f"{here}: {folder} has the folders {', '.join(found.classes[:10]) or 'of no classes'}; expected one "
            f"for each class: {', '.join(CLASSES)}."
        )
    data = split_by_hash("cifar10", found.images, found.labels)
    lossy = next((path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"}), None)
    each = np.bincount(found.labels, minlength=len(CLASSES))
    counted = f"{each[0]:,}" if each.min() == each.max() else f"{each.min():,} to {each.max():,}"
    note = (
        f"CIFAR-10 (Krizhevsky 2009) as lossy JPEG files of 32 x 32 pixels, {len(found.images):,} images, {counted} "
        "of each of ten classes; numbers on them are not those on the original images"
    )
    return replace(data, notes=(*((note,) if lossy else ()), *found.notes))


def statistics() -> ImageData:
    """Without any image."""
    from bench.workloads.checkpoints import shipped_folder
    from bench.workloads.store import read_weights, state_hash

    state = read_weights(shipped_folder("cifar-net") / "reference.safetensors")
    none, labels = torch.empty(0, 3, 32, 32, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    gaussian = Statistics(state["mean"].double().numpy(), state["covariance"].double().numpy())
    return ImageData("cifar10-statistics", none, labels, none, labels, state_hash(state), gaussian)
