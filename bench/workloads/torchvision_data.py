"""A data set of torchvision: images of one size, or fitted to one, read one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.workloads.pixels import DARK, MOST_PIXELS, dark, eight_bit, in_words
from bench.workloads.room import check_room
from bench.workloads.spec import TORCHVISION, ReferenceSpec
from bench.workloads.walk import shown

MOST = 2_000_000
"""More images than the largest real set (ImageNet has 1.3 million) are read only where a limit asks for so many."""

FAKE = "FakeData"
MOST_FAKE = 100_000
"""It makes any number: of noise, for a try."""

FOLDERS = ("ImageFolder", "DatasetFolder")

Fit = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Rows:
    """Images ``(N, H, W, C)``, uint8, with their labels where all have one."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    notes: tuple[str, ...]


def read_torchvision(spec: ReferenceSpec, path: Path, fit: Fit, here: str) -> Rows:
    """The data set that ``spec.source`` names, from ``path``.

    Args:
        fit: what is done to each image ``(H, W, C)`` before the next is read.

    Raises:
        UserError: no such set, not there, too large, or images of different sizes.
    """
    name = spec.source.removeprefix(TORCHVISION)
    place = f"{here}: torchvision's {shown(name)}"
    data = _found(name, spec, path, here)
    count = _counted(data, spec, place)
    images: NDArray[np.uint8] | None = None
    labels: list[Any] = []
    done = Counter[str]()
    for i in range(count):
        image, label, changed = _row(data, i, place)
        image = fit(image)
        if images is None:
            check_room(count, image.shape, place, "Set reference.limit to fewer.")
            images = np.empty((count, *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            raise UserError(
                f"{place}: images differ in size ({_size(images[0])}, then {_size(image)}). With resize = true "
                "they are cut and resized."
            )
        images[i] = image
        labels.append(label)
        done.update(changed)
    assert images is not None
    whole = None if any(label is None for label in labels) else np.array(labels, np.int64)
    return Rows(name, images, whole, in_words(done, count, f"torchvision's {name}"))


def _found(name: str, spec: ReferenceSpec, path: Path, here: str) -> Any:
    from torchvision import datasets

    known = [n for n in datasets.__all__ if n[0].isupper() and n not in (*FOLDERS, "VisionDataset")]
    if name in FOLDERS:
        raise UserError(f"{here}: torchvision's {name} is a folder: name it as the source, such as source = 'photos'.")
    if name not in known:
        raise UserError(f"{here}: torchvision has no data set {shown(name)!r}. Known: {', '.join(known)}.")
    kind: Callable[..., Any] = getattr(datasets, name)
    arguments: dict[str, Any] = dict(spec.arguments)
    if name == FAKE:
        _check_fake(arguments, f"{here}: torchvision's {name}")
    else:
        arguments |= {"root": str(path)} | ({"download": True} if spec.download else {})
    try:
        return kind(**arguments)
    except Exception as error:  # each of these sets has its own way to fail
        advice = "" if spec.download or name == FAKE else " To allow a download write reference.download = true."
        raise UserError(f"{here}: torchvision's {name} in {shown(path)}: {_words(error)}.{advice}") from error


def _check_fake(arguments: dict[str, Any], place: str) -> None:
    """Its images are made, of whatever size is asked for."""
    size = arguments.get("image_size", [3, 224, 224])
    if not isinstance(size, list) or len(size) != 3 or not all(type(n) is int and n > 0 for n in size):
        raise UserError(f"{place}: image_size is {size!r}; expected [channels, height, width].")
    if math.prod(size) > 4 * MOST_PIXELS:
        raise UserError(f"{place}: image_size is {size}; at most {MOST_PIXELS:,} pixels are made.")


def _counted(data: Any, spec: ReferenceSpec, place: str) -> int:
    """How many images are read. Raises UserError where nobody can have meant so many."""
    try:
        there = len(data)
    except Exception as error:  # a length that is no length
        raise UserError(f"{place}: has no length ({_words(error)}). Are its arguments right?") from error
    if there == 0:
        raise UserError(f"{place}: holds no images.")
    most = MOST_FAKE if type(data).__name__ == FAKE else MOST
    if spec.limit is None and there > most:
        raise UserError(f"{place}: {there:,} images; more than {most:,} are read only with a reference.limit.")
    return there if spec.limit is None else min(spec.limit, there)


def _row(data: Any, i: int, place: str) -> tuple[NDArray[np.uint8], int | None, frozenset[str]]:
    """Image ``(H, W, C)``, label, and what was done to the image."""
    from PIL import Image

    where = f"{place}, image {i}"
    try:
        row = data[i]
        found, label = row[0], row[1] if len(row) > 1 else None
        done: frozenset[str] = frozenset()
        if isinstance(found, Image.Image):
            found, done = eight_bit(found, where)
            found = found if found.mode in ("L", "RGB", "RGBA") else found.convert("L" if found.mode == "1" else "RGB")
        array = np.asarray(found)
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(f"{where}: {_words(error)}.") from error
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise UserError(f"{where}: {array.dtype} {array.shape}; expected a uint8 image.")
    done |= {DARK} if array.size and dark(array) else set()
    return array[..., None] if array.ndim == 2 else array, _label(label), done


def _label(label: Any) -> int | None:
    """A whole number, also in a tensor of one; what else a set gives besides images is no class."""
    try:
        number = label.item() if hasattr(label, "item") else label
    except (RuntimeError, ValueError):
        return None
    return number if isinstance(number, int) and not isinstance(number, bool) and abs(number) < 2**63 else None


def _size(image: NDArray[np.uint8]) -> str:
    return " x ".join(map(str, image.shape))


def _words(error: Exception) -> str:
    return shown(str(error).rstrip(".")) or type(error).__name__
