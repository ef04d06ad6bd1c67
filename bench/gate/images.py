"""What the images of a side's cells contribute to its numbers: of a run beside its records, of a baseline in one file.

A baseline keeps those that its gated numbers need, as float16: a standard error is known no better than to a percent,
and of two equal networks the rounding leaves a thousandth of their own error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from bench.experiments.gate import Gate
from bench.experiments.places import Place, chosen, place_of_cell
from bench.gate.contents import Contents, key_of, place_of
from bench.records import Record
from bench.records.contributions import MOST_IMAGES, PARTS, CellContributions, KeptContributions
from bench.records.paths import RunPaths
from bench.statistics import Contributions
from bench.tasks import quantity_of

Images = Callable[[Place, int], CellContributions | None]
"""Of a cell under a seed; None: there are none, or they cannot be read."""

IMAGES_FILE = "images.safetensors"
ABOUT = "about"

Kept = Mapping[tuple[Place, int], CellContributions]


def no_images(place: Place, seed: int) -> None:
    """A side without any."""


def images_of_run(folder: Path, records: Iterable[Record]) -> Images:
    """Those beside the records of a run, read when they are asked for."""
    keys = {(place_of_cell(record.cell), record.cell.seed): record.keys.eval for record in records}
    kept = KeptContributions(RunPaths(folder), keys.values())
    return lambda place, seed: kept.get(keys.get((place, seed), ""))


def gated_images(contents: Contents, gate: Gate, images: Images) -> dict[tuple[Place, int], CellContributions]:
    """What the gated noisy numbers of a side are compared by."""
    found: dict[tuple[Place, int], CellContributions] = {}
    for rule in gate.cells:
        place = chosen(rule, contents.experiment)
        metrics = gate.metrics if rule.metrics is None else rule.metrics
        wanted = {quantity_of(metric).errors_of or metric for metric in metrics}
        cell = contents.places.get(place)
        for seed in cell.seeds if cell else ():
            kept = images(place, seed)
            numbers = {n: each for n, each in kept.numbers.items() if n.partition("[")[0] in wanted} if kept else {}
            if kept is not None and numbers:
                found[place, seed] = CellContributions(kept.inputs, numbers)
    return found


def written(kept: Kept) -> bytes:
    """The content of `IMAGES_FILE`: a tensor a number, its parts one behind the other, each divided by its scale."""
    tensors: dict[str, np.ndarray] = {}
    about: dict[str, Any] = {}
    for (place, seed), cell in sorted(kept.items()):
        key = f"{key_of(place)} | {seed}"
        numbers = {}
        for name, each in cell.numbers.items():
            parts = [np.asarray(getattr(each, part), np.float64) for part in PARTS]
            scales = [float(np.abs(part).max(initial=0.0)) for part in parts]
            shares = [part / (scale or 1.0) for part, scale in zip(parts, scales, strict=True)]
            tensors[f"{key} | {name}"] = np.concatenate(shares).astype(np.float16)
            numbers[name] = {"count": each.count, "sizes": [part.size for part in parts], "scales": scales}
        about[key] = {"inputs": cell.inputs, "numbers": numbers}
    return bytes(save(tensors, {ABOUT: json.dumps(about, separators=(",", ":"))}))


def read(content: bytes) -> dict[tuple[Place, int], CellContributions]:
    """What `written` wrote.

    Raises:
        ValueError: it is not that.
    """
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][ABOUT])
        found = {}
        for key, cell in about.items():
            place, _, seed = key.rpartition(" | ")
            numbers = {
                name: _one(tensors[f"{key} | {name}"], int(one["count"]), one["sizes"], one["scales"])
                for name, one in cell["numbers"].items()
            }
            found[place_of(place), int(seed)] = CellContributions(str(cell["inputs"]), numbers)
        return found
    except (SafetensorError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError("no contributions of images") from error


def _one(values: np.ndarray, count: int, sizes: Sequence[int], scales: Sequence[float]) -> Contributions:
    linear, noise, pairs = sizes
    ends = np.cumsum([0, linear, noise, pairs])
    whole = values.ndim == 1 and values.size == ends[-1] and min(sizes) >= 0 and noise in (0, linear)
    if not whole or not 2 <= linear <= count <= MOST_IMAGES:
        raise ValueError("the sizes of contributions do not fit together")
    parts = [
        values[first:last].astype(np.float64) * scale
        for first, last, scale in zip(ends[:-1], ends[1:], map(float, scales), strict=True)
    ]
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError("contributions that are no numbers")
    return Contributions(count, *parts)
