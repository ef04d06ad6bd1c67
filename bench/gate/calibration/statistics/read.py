"""What was collected, as arrays: seeds x networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.gate.calibration.rows import RESTORE, read_rows
from bench.gate.calibration.statistics.cells import WORKLOADS, Variant, variants
from bench.gate.calibration.statistics.collect import COLUMNS, LEADING, PAIRED, VALUES, numbers_file
from bench.tasks.generation import GENERATION

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Collected:
    """Of one workload: S seeds, n networks. On the scale of contributions, of which the variances are."""

    workload: str
    seeds: tuple[int, ...]
    num_images: int
    networks: tuple[Variant, ...]
    values: dict[str, Array]
    """Quantity -> ``(S, n)``; NaN: not measured."""
    raw: dict[str, Array]
    """The same as they are shown."""
    variances: dict[str, Array]
    """Quantity -> ``(S, n)``: of each value over new images, as its own images say."""
    paired: dict[str, Array]
    """Quantity -> ``(S, n, n)``, symmetric: of the differences; NaN: not compared."""
    varies: tuple[frozenset[str], ...]
    """Of each network the streams that it depends on beside evaluation inputs."""
    collapsed: NDArray[np.bool_]
    """``(S, n)``"""

    def index(self, variant: Variant) -> int:
        return self.networks.index(variant)

    def of(self, *kinds: str, whole: bool = False) -> list[int]:
        """The networks of these kinds; ``whole``: of which none collapsed under any seed."""
        return [
            i for i, v in enumerate(self.networks) if v.kind in kinds and not (whole and self.collapsed[:, i].any())
        ]

    def calibrated(self) -> list[int]:
        """Drawn networks of which nothing is drawn but calibration inputs."""
        return [i for i in self.of("drawn") if self.varies[i] == {"calibrate"}]


def read_collected(folder: Path) -> list[Collected]:
    """Each workload of which something was collected.

    Raises:
        UserError: the file is damaged, or a seed lacks networks.
    """
    path = numbers_file(folder, "")
    rows = read_rows(path, COLUMNS)
    return [_read(path, name, rows[rows["workload"] == name]) for name in WORKLOADS if (rows["workload"] == name).any()]


def _read(path: Path, workload: str, rows: pd.DataFrame) -> Collected:
    networks = tuple(variant for variant in variants(workload) if (rows["network"] == variant.label).any())
    labels = [variant.label for variant in networks]
    seeds = sorted(set(rows["seed"]))
    rows = rows.set_index(["seed", "network"])
    if len(rows) != len(seeds) * len(labels) or set(rows.index.get_level_values(1)) != set(labels):
        raise UserError(f"{path}: {workload} has other networks under some seeds than under others. {RESTORE}")
    rows = rows.loc[[(seed, label) for seed in seeds for label in labels]]
    shape = (len(seeds), len(labels))

    def column(name: str) -> Array:
        return np.asarray(rows[name], float).reshape(shape)

    raw = {name: column(name) for name in VALUES}
    first = rows.iloc[: len(labels)]
    return Collected(
        workload,
        tuple(int(seed) for seed in seeds),
        int(first["num_images"].iloc[0]),
        networks,
        {name: np.log(each) if _logarithmic(name) else each for name, each in raw.items()},
        raw,
        {name: column(f"variance {name}") for name in VALUES},
        {name: _square([str(text) for text in rows[f"paired {name}"]], networks, shape) for name in PAIRED},
        tuple(frozenset(str(text).split("+")) - {"eval"} if v.kind != "fixed" else frozenset()
              for text, v in zip(first["varies"], networks, strict=True)),
        column("collapsed") > 0,
    )  # fmt: skip


def _logarithmic(name: str) -> bool:
    """Whether its contributions are to its logarithm."""
    return name != LEADING and GENERATION.quantity(name).scale == "log"


def _square(texts: list[str], networks: tuple[Variant, ...], shape: tuple[int, int]) -> Array:
    found = np.full((*shape, shape[1]), np.nan)
    for seed in range(shape[0]):
        for i, variant in enumerate(networks):
            text = texts[seed * shape[1] + i]
            before = [j for j in range(i) if variant.paired(networks[j])]
            words = [] if text == "nan" else text.split()
            for j, word in zip(before, words, strict=bool(words)):
                found[seed, i, j] = found[seed, j, i] = float(word)
    return found
