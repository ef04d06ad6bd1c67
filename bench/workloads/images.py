"""Folders of image files as arrays."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.workloads.pixels import MODES, in_words, read_picture
from bench.workloads.room import check_room
from bench.workloads.walk import find_images, shown

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Folder:
    """The images of a folder, uint8 ``(N, C, H, W)``, in the order of their names."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    """The place of each image's first subfolder among those; 0 where there are fewer than two."""
    classes: tuple[str, ...]
    """Names of the subfolders; empty: no classes."""
    notes: tuple[str, ...] = ()
    """What was left out, and what was done to pictures, each with its count."""

    @property
    def fingerprint(self) -> str:
        """Hash of shape and pixels, in order."""
        return hashlib.sha256(f"{self.images.shape}|".encode() + self.images.tobytes()).hexdigest()


def read_folder(
    folder: Path, shape: tuple[int, int, int], *, resize: bool, limit: int | None = None, here: str
) -> Folder:
    """The images of ``folder`` and of all folders in it, as ``shape`` = (channels, height, width) wants them.

    What is read how is said by `find_images` (links, hidden files) and `read_picture` (depth, alpha, orientation).
    The classes are the folders directly in it, where there are at least two and every image is in one.

    Args:
        resize: cut from the middle to the proportions of ``shape`` and resize; else another size is a mistake.
        limit: at most so many, those whose names have the lowest hashes.

    Raises:
        UserError: no images, an unreadable one, one of another size, or more than there is memory for.
    """
    if shape[0] not in MODES:
        raise UserError(f"{here}: images have 1, 3 or 4 channels, {shape[0]} are wanted.")
    found = find_images(folder, here)
    classes, notes = _classes(found.files, folder)
    files = list(found.files)
    if limit is not None and len(files) > limit:
        chosen = sorted(
            files, key=lambda path: hashlib.sha256(os.fsencode(path.relative_to(folder).as_posix())).digest()
        )
        files = sorted(chosen[:limit])
    check_room(len(files), shape, f"{here}: {shown(folder)}", "Read fewer: {source = ..., limit = 10000}.")
    images, done = np.empty((len(files), *shape), np.uint8), Counter[str]()
    for i, path in enumerate(files):
        picture = read_picture(path, shape[0], here)
        images[i] = _array(picture.image, path, shape, resize, here)
        done.update(picture.done)
    labels = np.zeros(len(files), np.int64)
    if classes:
        labels = np.array([classes.index(path.relative_to(folder).parts[0]) for path in files], np.int64)
    said = ((found.note,) if found.note else ()) + notes + in_words(done, len(files), shown(folder))
    return Folder(images, labels, classes, said)


def _classes(files: tuple[Path, ...], folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders directly in it, of all files, whichever of them are read; and why they are none where that is odd."""
    loose = [path for path in files if path.parent == folder]
    tops = tuple(sorted({path.relative_to(folder).parts[0] for path in files if path.parent != folder}))
    if len(tops) > 1 and loose:
        names = ", ".join(shown(path.name) for path in loose[:3]) + (", ..." if len(loose) > 3 else "")
        beside = "1 image lies" if len(loose) == 1 else f"{len(loose):,} images lie"
        return (), (
            f"{shown(folder)}: {beside} beside the {len(tops)} subfolders ({names}), which are no classes then",
        )
    return (tops, ()) if len(tops) > 1 else ((), ())


def _array(image: Image, path: Path, shape: tuple[int, int, int], resize: bool, here: str) -> NDArray[np.uint8]:
    channels, height, width = shape
    if image.size != (width, height):
        if not resize:
            raise UserError(
                f"{here}: {shown(path)} is {image.size[1]} x {image.size[0]} (height x width), the generator makes "
                f"{height} x {width}. Write {{source = ..., resize = true}} to have all images cut and resized."
            )
        image = fitted(image, height, width)
    array: NDArray[np.uint8] = np.asarray(image, np.uint8).reshape(height, width, channels)
    return array.transpose(2, 0, 1)


def fitted(image: Image, height: int, width: int) -> Image:
    """Cut from the middle to the proportions, then resized with an antialiased bicubic filter (Pillow's)."""
    from PIL import Image

    scale = max(width / image.width, height / image.height)
    wide, high = width / scale, height / scale
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    return image.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, left + wide, top + high))
