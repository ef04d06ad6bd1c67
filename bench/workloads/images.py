"""Image files as arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Folder:
    """The images of a folder, uint8 ``(N, C, H, W)``, in the order of their names."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    """The place of each image's first subfolder among those; 0 where there are fewer than two."""
    classes: tuple[str, ...]
    """Names of the subfolders; empty: no classes."""

    @property
    def fingerprint(self) -> str:
        """Hash of shape and pixels, in order."""
        return hashlib.sha256(f"{self.images.shape}|".encode() + self.images.tobytes()).hexdigest()


def image_files(folder: Path, here: str) -> list[Path]:
    """All image files below ``folder``, sorted by name. Raises UserError where there are none."""
    if not folder.is_dir():
        raise UserError(f"{here}: no folder {folder}.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise UserError(f"{here}: no images in {folder} or below (known: {', '.join(sorted(SUFFIXES))}).")
    return files


def read_folder(
    folder: Path, shape: tuple[int, int, int], *, resize: bool, limit: int | None = None, here: str
) -> Folder:
    """The images of ``folder`` and of all folders in it, as ``shape`` = (channels, height, width) wants them.

    Grey and colour are converted into each other. The classes are the folders directly in it, where there are at
    least two and every image is in one.

    Args:
        resize: cut from the middle to the proportions of ``shape`` and resize; else another size is a mistake.
        limit: at most so many, those whose names have the lowest hashes.

    Raises:
        UserError: no images, an unreadable one, or one of another size.
    """
    files = image_files(folder, here)
    if limit is not None and len(files) > limit:
        chosen = sorted(files, key=lambda path: hashlib.sha256(path.relative_to(folder).as_posix().encode()).digest())
        files = sorted(chosen[:limit])
    if shape[0] not in MODES:
        raise UserError(f"{here}: images have 1, 3 or 4 channels, {shape[0]} are wanted.")
    images = np.empty((len(files), *shape), np.uint8)
    for i, path in enumerate(files):
        images[i] = _read(path, shape, resize, here)
    tops = [path.relative_to(folder).parts[0] if len(path.relative_to(folder).parts) > 1 else "" for path in files]
    classes = tuple(sorted(set(tops)))
    if len(classes) < 2 or "" in classes:
        return Folder(images, np.zeros(len(files), np.int64), ())
    return Folder(images, np.array([classes.index(top) for top in tops], np.int64), classes)


def _read(path: Path, shape: tuple[int, int, int], resize: bool, here: str) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    channels, height, width = shape
    try:
        with Image.open(path) as opened:
            image = opened.convert(MODES[channels])
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{here}: {path} cannot be read as an image ({error}).") from error
    if image.size != (width, height):
        if not resize:
            raise UserError(
                f"{here}: {path} is {image.size[1]} x {image.size[0]} (height x width), the generator makes "
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
