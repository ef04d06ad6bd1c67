"""Samples of every strategy on the same inputs, so that the eye compares like with like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.report.inputs import Images, SampleKey
from bench.report.style import DPI, PAGE, SMALL, paper_style
from bench.tables import strategy_order
from bench.tables.naming import DENSE

LABEL = 0.26
"""Inches above a block for the strategy's name and the caption."""
LINE = 0.1
"""Inches more for each further line of a caption."""
GAP = 0.07
"""Inches between blocks."""
IMAGES_PER_ROW = 4
TALLEST = 9.0
"""Inches: blocks have two rows of images where that stays within a page, else one, and a smaller zoom."""


def sample_grid(samples: Mapping[SampleKey, Images], captions: Mapping[SampleKey, str], workload: str) -> Figure | None:
    """A block of samples for each strategy (rows) and level (columns), with the dense block at the left of
    each row.

    ``samples``: uint8 images (n, C, H, W), C 1 or 3, the same inputs in the same order in each block;
    ``captions``, of one or more lines, stand above the blocks. Sparsities share columns; a strategy with its own knob
    fills its row from the left. Every image pixel is a whole number of pixels of the PNG (300 dpi), without
    interpolation.
    A block has up to four images a row and two rows; fewer where images are large or strategies many, so that it
    stays within a page. The page width is exceeded only where single images at one pixel each do not fit.

    Returns:
        The figure, or None where the workload has no samples.

    Raises:
        ValueError: blocks differ in shape, or are not uint8 with 1 or 3 channels.
    """
    mine = {key: images for key, images in samples.items() if key[0] == workload and len(images)}
    if not mine:
        return None
    _check(mine)
    dense = next((key for key in sorted(mine) if key[1] == DENSE), None)
    strategies = sorted({key[1] for key in mine if key[1] != DENSE}, key=strategy_order) or [DENSE]
    places = _places(mine, strategies)
    columns = 1 + max((column for _, column in places.values()), default=0)
    offset = 1 if dense is not None else 0
    columns += offset if places else 0
    lines = max((captions.get(key, "").count("\n") for key in mine), default=0)
    gap, label = round(GAP * DPI), round((LABEL + LINE * lines) * DPI)
    per_row, zoom = _fit(next(iter(mine.values())), int(PAGE * DPI - gap * (columns + 1)) // columns)
    zoom = min(zoom, 4) if len(strategies) > 1 else zoom
    pixels = next(iter(mine.values())).shape[2] * zoom
    most = int(TALLEST * DPI / len(strategies)) - label - gap
    rows = 2 if 2 * pixels <= most else 1
    zoom = max(1, min(zoom, most // (pixels // zoom)))
    tiles = {key: _tile(images, per_row, rows) for key, images in mine.items()}
    height, width = next(iter(tiles.values())).shape[:2]
    across, down = width * zoom, height * zoom
    total_x = columns * across + (columns + 1) * gap
    total_y = len(strategies) * (down + label + gap) + gap
    with paper_style():
        figure = Figure(figsize=(total_x / DPI, total_y / DPI))
        for row, strategy in enumerate(strategies):
            top = total_y - gap - row * (down + label + gap)
            name, size = _fitted(strategy, (total_x - 2 * gap) / DPI, 8.0)
            figure.text(gap / total_x, top / total_y, name, fontsize=size, va="top", ha="left")
            blocks = {place[1] + offset: key for key, place in places.items() if place[0] == row}
            if dense is not None:
                blocks[0] = dense
            for column, key in blocks.items():
                left = gap + column * (across + gap)
                box = (left / total_x, (top - label - down) / total_y, across / total_x, down / total_y)
                axes = figure.add_axes(box)
                axes.imshow(tiles[key], interpolation="none", aspect="auto")
                axes.set_axis_off()
                where = (left / total_x, (top - label + 0.02 * DPI) / total_y)
                fitted = [_fitted(text, (across + gap / 2) / DPI) for text in captions.get(key, key[2]).split("\n")]
                text, size = "\n".join(words for words, _ in fitted), min(size for _, size in fitted)
                figure.text(*where, text, fontsize=size, va="bottom", ha="left", color="#444444", linespacing=1)
    return figure


def _fitted(text: str, width: float, size: float = SMALL - 0.5) -> tuple[str, float]:
    """``text`` and the font size at which it stays within ``width`` inches; cut where 5 points are too
    large.
    """
    for smaller in np.arange(size, 4.9, -0.25):
        if len(text) * 0.56 * smaller / 72 <= width:
            return text, float(smaller)
    return text[: max(int(width * 72 / (0.56 * 5)) - 1, 1)] + "…", 5.0


def _check(samples: Mapping[SampleKey, Images]) -> None:
    shapes = {images.shape for images in samples.values()}
    kinds = {str(images.dtype) for images in samples.values()}
    if len(shapes) > 1 or kinds != {"uint8"}:
        raise ValueError(f"sample blocks must be uint8 of one shape, found {sorted(shapes)} and {sorted(kinds)}")
    (shape,) = shapes
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise ValueError(f"samples are (n, C, H, W) with C 1 or 3, found {shape}")


def _places(samples: Mapping[SampleKey, Any], strategies: Sequence[str]) -> dict[SampleKey, tuple[int, int]]:
    """Row and column (without the dense column) of each block."""
    pruned = [key for key in samples if key[1] != DENSE]
    sparsities = sorted({key[2] for key in pruned if _sparsity(key[2]) is not None}, key=float)
    places = {}
    for row, strategy in enumerate(strategies):
        keys = sorted((key for key in pruned if key[1] == strategy), key=lambda key: (_knob(key[2]), key[2]))
        own = any(_sparsity(key[2]) is None for key in keys)
        for position, key in enumerate(keys):
            places[key] = (row, position if own else sparsities.index(key[2]))
    return places


def _sparsity(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def _knob(label: str) -> float:
    """The number in ``0.7`` or ``threshold-0.2``."""
    value = _sparsity(label)
    value = _sparsity(label.rpartition("-")[2]) if value is None else value
    return math.inf if value is None else value


def _fit(images: Images, room: int) -> tuple[int, int]:
    """Images in a row of a block and their zoom, so that the row stays within ``room`` pixels: first as many images as
    fit, then as large as they can be.
    """
    width = images.shape[3]
    columns = max(1, min(IMAGES_PER_ROW, len(images), room // width))
    return columns, max(1, room // (columns * width))


def _tile(images: Images, columns: int, most_rows: int) -> Images:
    """The first images of a block as one picture (H, W, 3), white where there are too few."""
    shown = images[: columns * most_rows]
    rows = math.ceil(len(shown) / columns)
    _, channels, height, width = shown.shape
    canvas = np.full((rows * height, columns * width, channels), 255, dtype=np.uint8)
    for index, image in enumerate(shown):
        y, x = divmod(index, columns)
        canvas[y * height : (y + 1) * height, x * width : (x + 1) * width] = image.transpose(1, 2, 0)
    return canvas.repeat(3, axis=2) if channels == 1 else canvas
