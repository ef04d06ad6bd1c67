"""Mean and scatter of the features of each network over all seeds: what its distance is in the limit follows from it.

One .npz a part; a part says of which seeds its sums are, so a seed is never added twice.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.base.outside import RECORDS, read_bytes
from bench.gate.calibration.rows import RESTORE
from bench.tasks.generation.gaussian import Gaussian

Array = NDArray[np.float64]

Key = tuple[str, str]
"""Workload and network."""


@dataclass(frozen=True)
class Sum:
    """Of some feature vectors ``(count, d)``."""

    count: int
    mean: Array
    """``(d,)``"""
    scatter: Array
    """``(d, d)``: sum of the outer products of what differs from the mean."""

    def __add__(self, other: Sum) -> Sum:
        """Of both (Chan, Golub & LeVeque 1983)."""
        total, step = self.count + other.count, other.mean - self.mean
        between = np.outer(step, step) * (self.count * other.count / total)
        return Sum(total, self.mean + step * (other.count / total), self.scatter + other.scatter + between)

    @property
    def gaussian(self) -> Gaussian:
        return Gaussian(self.mean, self.scatter / (self.count - 1), self.count)


def sum_of(features: NDArray[np.floating]) -> Sum:
    """Of ``features (n, d)``."""
    wide = features.astype(np.float64)
    mean = wide.mean(axis=0)
    centred = wide - mean
    return Sum(len(wide), mean, centred.T @ centred)


@dataclass(frozen=True)
class Sums:
    """What a part holds."""

    seeds: dict[str, frozenset[int]]
    """Workload -> the seeds that were added."""
    sums: dict[Key, Sum]

    def added(self, workload: str, seed: int, more: dict[str, Sum]) -> Sums:
        """With one more seed of a workload; as it is where it has it already."""
        before = self.seeds.get(workload, frozenset())
        if seed in before:
            return self
        return self.joined(Sums({workload: frozenset([seed])}, {(workload, name): s for name, s in more.items()}))

    def joined(self, other: Sums) -> Sums:
        """Both parts together. Raises ValueError where they share a seed."""
        sums, seeds = dict(self.sums), dict(self.seeds)
        for workload, more in other.seeds.items():
            if both := seeds.get(workload, frozenset()) & more:
                raise ValueError(f"{workload}: seeds {sorted(both)} are in two parts")
            seeds[workload] = seeds.get(workload, frozenset()) | more
        for key, each in other.sums.items():
            sums[key] = sums[key] + each if key in sums else each
        return Sums(seeds, sums)


def write_sums(path: Path, sums: Sums) -> None:
    """All or nothing."""
    arrays: dict[str, NDArray[np.generic]] = {
        f"seeds|{workload}": np.array(sorted(seeds), np.int64) for workload, seeds in sums.seeds.items()
    }
    for (workload, name), each in sums.sums.items():
        upper = each.scatter[np.triu_indices(len(each.mean))]
        arrays[f"{workload}|{name}"] = np.concatenate([[each.count], each.mean, upper])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def read_sums(path: Path) -> Sums:
    """Read what `write_sums` wrote; nothing where there is no file yet. Raises UserError for a damaged file."""
    seeds: dict[str, frozenset[int]] = {}
    sums: dict[Key, Sum] = {}
    if not path.exists():
        return Sums(seeds, sums)
    try:
        with np.load(io.BytesIO(read_bytes(path, RECORDS)), allow_pickle=False) as found:
            for name in found.files:
                first, _, second = name.partition("|")
                if first == "seeds":
                    seeds[second] = frozenset(int(seed) for seed in found[name])
                else:
                    sums[first, second] = _unpacked(found[name])
    except (ValueError, OSError, KeyError, EOFError) as error:
        raise UserError(f"{path}: damaged, not the sums of features ({error}). {RESTORE}") from error
    return Sums(seeds, sums)


def _unpacked(flat: Array) -> Sum:
    width = round((np.sqrt(8 * len(flat) + 1) - 3) / 2)  # 1 + d + d (d + 1) / 2 entries
    scatter = np.zeros((width, width))
    upper = np.triu_indices(width)
    scatter[upper] = flat[1 + width :]
    scatter.T[upper] = flat[1 + width :]
    return Sum(int(flat[0]), flat[1 : 1 + width].copy(), scatter)


def joined(parts: Iterable[Sums]) -> Sums:
    """All parts together."""
    total = Sums({}, {})
    for part in parts:
        total = total.joined(part)
    return total
