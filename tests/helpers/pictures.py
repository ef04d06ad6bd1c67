"""Small pictures on disk, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pictures(count: int = 60, height: int = 16, width: int = 16, colours: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """``(count, height, width, colours)``: noise with a bright bar, its row by class (three classes in turn)."""
    rng = np.random.default_rng(seed)
    images = rng.normal(60, 25, (count, height, width, colours))
    for i, image in enumerate(images):
        top = (i % 3) * height // 3
        image[top : top + height // 4] += 130
    return images.clip(0, 255).astype(np.uint8)


def write_pictures(folder: Path, images: NDArray[np.uint8], *, labelled: bool = True) -> Path:
    """As PNG files, in one folder for each class unless not ``labelled``."""
    for i, image in enumerate(images):
        place = folder / f"class-{i % 3}" if labelled else folder
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(place / f"{i:04d}.png")
    return folder
