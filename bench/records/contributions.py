"""What the images of a cell contribute to its numbers, on disk beside its record: one file a cell, some kB a number.

With it two cells of a run, or of two runs under one protocol, are compared without generating anything.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.outside import MIB, Damaged, read_bytes
from bench.records.paths import RunPaths
from bench.statistics import Contributions

LARGEST = 64 * MIB
"""A file is no larger: sixteen numbers of 4,096 images are 1 MB."""

PARTS = ("linear", "noise", "pairs")

MOST_IMAGES = 2**40


@dataclass(frozen=True)
class CellContributions:
    """Of one cell."""

    inputs: str
    """Hash of the evaluation inputs: cells that share it are paired, image by image."""
    numbers: Mapping[str, Contributions]
    """By metric, as in the record's ``numbers``."""


def write_contributions(path: Path, found: CellContributions) -> None:
    """Write to a temporary file and rename; values as float32."""
    parts = {
        f"{name}/{part}": np.ascontiguousarray(getattr(each, part), dtype=np.float32)
        for name, each in found.numbers.items()
        for part in PARTS
    }
    counts = {name: each.count for name, each in found.numbers.items()}
    write_atomically(path, save(parts, {"inputs": found.inputs, "counts": json.dumps(counts)}))


def read_contributions(path: Path) -> CellContributions:
    """Read what `write_contributions` wrote.

    Raises:
        Unreadable: it is not there, no regular file, or too large.
        Damaged: it is not such a file.
    """
    content = read_bytes(path, LARGEST)
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size])["__metadata__"]
        counts = {str(name): int(count) for name, count in json.loads(metadata["counts"]).items()}
        numbers = {name: _one(name, count, tensors) for name, count in counts.items()}
        return CellContributions(str(metadata["inputs"]), numbers)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(path, "not the contributions of a cell") from error


class KeptContributions(Mapping[str, CellContributions]):
    """Those of a run's cells by ``eval_key``, read when they are asked for. What is missing or damaged is not there:
    its cell then has its own error alone."""

    def __init__(self, paths: RunPaths, keys: Iterable[str]) -> None:
        self._paths, self._keys = paths, dict.fromkeys(keys)
        self._read: dict[str, CellContributions | None] = {}

    def __getitem__(self, key: str) -> CellContributions:
        if key not in self._keys:
            raise KeyError(key)
        if key not in self._read:
            self._read[key] = None
            with contextlib.suppress(UserError):
                self._read[key] = read_contributions(self._paths.contributions(key))
        found = self._read[key]
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _one(name: str, count: int, tensors: Mapping[str, np.ndarray]) -> Contributions:
    linear, noise, pairs = (tensors[f"{name}/{part}"].astype(np.float64) for part in PARTS)
    fits = linear.ndim == noise.ndim == pairs.ndim == 1 and noise.size in (0, linear.size)
    if not fits or not 2 <= linear.size <= count <= MOST_IMAGES:
        raise ValueError(name)
    if not all(np.isfinite(part).all() for part in (linear, noise, pairs)):
        raise ValueError(name)
    return Contributions(count, linear, noise, pairs)
