"""Numbers of each network under many seeds, with the variances that its images give them, alone and in pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.machine import one_thread
from bench.base.seeds import varies_name
from bench.gate.calibration.rows import Value, add_rows, read_rows
from bench.gate.calibration.statistics.cells import WITH_IMAGES, Variant, variants
from bench.gate.calibration.statistics.sums import Sum, read_sums, sum_of, write_sums
from bench.records import Cell
from bench.statistics import Contributions, difference
from bench.sweep.cell import make
from bench.sweep.resolved import ResolvedCell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.evaluation import Judge
from bench.tasks.generation import CALIBRATED_METRICS, GENERATION
from bench.tasks.generation.evaluation import Images
from bench.tasks.generation.quantities import CALIBRATED
from strategies.base import Pruned
from strategies.builtin import DENSE

RECOVERY = "bn-recalibrate"
LEADING = GENERATION.leaders[0]
VALUES = tuple(quantity.name for quantity in CALIBRATED)
PAIRED = tuple(dict.fromkeys((*GENERATION.leaders, *GENERATION.beside)))

PARTS = ("first", "own", "second")
"""Of the variance of the leading number: first order as it is, what of it is the error of the contributions, second
order."""

COLUMNS = (
    "workload", "seed", "num_images", "network", "varies", "collapsed", *VALUES,
    *(f"variance {name}" for name in VALUES), *PARTS,
    *(f"paired {name}" for name in PAIRED), *(f"paired {part}" for part in PARTS),
)  # fmt: skip
"""One row a network. ``variance``: of the number over new images as these images say, on the scale of contributions;
empty where it has none.
``paired``: the same of the difference to each network before it that it is compared with, in the order of `variants`,
with blanks between."""


class KeepingWorkshop(Workshop):
    """A workshop that keeps every cut that depends on no seed, and every network that is made once."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._undrawn: dict[tuple[str, str, str], tuple[Pruned, float]] = {}
        self._fixed: dict[tuple[str, str], nn.Module] = {}

    def cut(self, todo: ResolvedCell, make: Callable[[], tuple[Pruned, float]]) -> tuple[Pruned, float]:
        key = (todo.cell.workload, todo.cell.strategy, todo.cell.level_label)
        if todo.draws:
            return super().cut(todo, make)
        if key not in self._undrawn:
            self._undrawn[key] = make()
        return self._undrawn[key]

    def network(self, todo: ResolvedCell, variant: Variant) -> nn.Module:
        """The recovered generator."""
        key = (todo.cell.workload, variant.label)
        if key in self._fixed:
            return self._fixed[key]
        generator = make(todo, self, watch=False).recovered.generator
        if variant.kind == "fixed":
            self._fixed[key] = generator
        return generator


def numbers_file(folder: Path, part: str) -> Path:
    """Where the rows of a part are; the part without a name is what is committed."""
    return folder / f"statistics{part and '-' + part}.csv"


def sums_file(folder: Path, part: str) -> Path:
    """Where its sums of features are."""
    return folder / f"statistics{part and '-' + part}.npz"


def collect(
    folder: Path,
    part: str,
    workloads: Sequence[str],
    seeds: Sequence[int],
    *,
    num_images: int,
    seconds: float = float("inf"),
) -> Iterator[tuple[int, str]]:
    """Measure what is missing, seed by seed, into the files of one part, until ``seconds`` have gone by.

    Yields:
        Each seed and workload when its rows and its sums are written.
    """
    path, beside = numbers_file(folder, part), sums_file(folder, part)
    before = read_rows(path, COLUMNS)
    taken = set(zip(before["workload"], before["seed"], strict=True))
    sums = read_sums(beside)
    end = time.monotonic() + seconds
    shops = {
        metrics: KeepingWorkshop(Settings(num_images=num_images, metrics=metrics, curve=False))
        for metrics in (CALIBRATED_METRICS, GENERATION.metrics)
    }
    for seed in seeds:
        for workload in workloads:
            if (workload, seed) in taken:
                continue
            if time.monotonic() > end:
                return
            shop = shops[CALIBRATED_METRICS if workload in WITH_IMAGES else GENERATION.metrics]
            with one_thread():
                rows, more = measured(shop, workload, seed)
            # The sums first: they know their seeds, so one whose rows were not written is measured, not added, again.
            sums = sums.added(workload, seed, more)
            write_sums(beside, sums)
            add_rows(path, COLUMNS, rows)
            yield seed, workload


def measured(shop: KeepingWorkshop, workload: str, seed: int) -> tuple[list[dict[str, Value]], dict[str, Sum]]:
    """Every network of one workload on the inputs of one seed: rows (`COLUMNS`) and sums of features."""
    rows: list[dict[str, Value]] = []
    sums: dict[str, Sum] = {}
    before: list[tuple[Variant, Mapping[str, Contributions]]] = []
    dense: Mapping[str, Tensor] | None = None
    judged: dict[object, Images] = {}
    for variant in variants(workload):
        cell = Cell(
            workload=workload,
            strategy=variant.strategy,
            level={"sparsity": variant.sparsity},
            recovery=RECOVERY,
            seed=variant.made_with(seed),
        )
        todo = shop.resolve(cell)
        judge = todo.loaded.judge
        key = (variant.strategy, variant.sparsity, cell.seed if todo.streams else None)
        if key not in judged:  # where nothing is drawn twins and fixed networks are the network itself
            judged[key] = judge.see(shop.network(todo, variant), judge.draw(seed))
        seen = judged[key]
        if not seen.finite:
            raise UserError(f"{workload}, {variant.label}, seed {seed}: output that is not finite has no place here.")
        found = {name.partition("[")[0]: each for name, each in judge.contributions(seen).items()}
        collapse = judge.collapse(seen, None if variant.strategy == DENSE else dense, trained=False)
        if variant.strategy == DENSE:
            dense = judge.compared(seen)
        streams: frozenset[str] = frozenset() if variant.kind == "fixed" else todo.streams
        rows.append({
            "workload": workload,
            "seed": seed,
            "num_images": shop.settings.num_images,
            "network": variant.label,
            "varies": varies_name(streams | {"eval"}),
            "collapsed": int(bool(collapse)),
            **_values(judge, seen),
            **{f"variance {name}": found[name].variance if name in found else None for name in VALUES},
            **_parts(found[LEADING]),
            **_paired(variant, found, before),
        })  # fmt: skip
        before.append((variant, found))
        sums[variant.label] = sum_of(seen.judged.features)
    return rows, sums


def _values(judge: Judge[Images], seen: Images) -> dict[str, float | None]:
    numbers = judge.numbers(seen)
    return {name: numbers[full].value if (full := f"{name}[{judge.name}]") in numbers else None for name in VALUES}


def _parts(found: Contributions) -> dict[str, float]:
    """What `Contributions.variance` is made of."""
    second = 2 * float(np.mean(found.pairs**2)) / found.count**2 if found.pairs.size else 0.0
    first, own = (float(part.var(ddof=1)) / found.count for part in (found.linear, found.noise))
    return {"first": first, "own": own, "second": second}


def _paired(
    variant: Variant,
    found: Mapping[str, Contributions],
    before: Sequence[tuple[Variant, Mapping[str, Contributions]]],
) -> dict[str, str]:
    texts: dict[str, list[str]] = {name: [] for name in (*PAIRED, *PARTS)}
    for other, theirs in before:
        if not variant.paired(other):
            continue
        for name in PAIRED:
            both = difference(found[name], theirs[name]) if name in found else None
            if both is None:  # nothing is known of what images contribute to it
                continue
            texts[name].append(f"{both.variance:.4g}")
            if name == LEADING:
                for part, value in _parts(both).items():
                    texts[part].append(f"{value:.4g}")
    return {f"paired {name}": " ".join(words) for name, words in texts.items()}


def merge(folder: Path, into: str) -> int:
    """Put all other parts into the part ``into``, but those that it has. How many rows it has then.

    A part is one process's: two parts never share a seed of a workload.
    """
    path, beside = numbers_file(folder, into), sums_file(folder, into)
    rows, sums = [read_rows(path, COLUMNS)], read_sums(beside)
    for file in sorted(folder.glob("statistics-*.csv")):
        part = read_sums(file.with_suffix(".npz"))
        if all(seeds <= sums.seeds.get(workload, frozenset()) for workload, seeds in part.seeds.items()):
            continue
        rows.append(read_rows(file, COLUMNS))
        sums = sums.joined(part)
    whole = pd.concat([part for part in rows if len(part)]).sort_values(["workload", "seed"], kind="stable")
    write_sums(beside, sums)
    path.unlink(missing_ok=True)
    kept = whole.astype(object).where(whole.notna(), None)
    add_rows(path, COLUMNS, ({str(name): value for name, value in row.items()} for row in kept.to_dict("records")))
    return len(whole)
