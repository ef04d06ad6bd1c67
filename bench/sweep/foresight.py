"""What a planned run will be able to tell: by an earlier run of the same workloads, else by the shipped prior."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import UserError
from bench.experiments.prior import shipped_prior, variances_of_run
from bench.records.paths import RunPaths
from bench.records.store import RunStore
from bench.sweep.plan import Plan
from bench.sweep.resolved import ResolvedCell
from bench.tables.claim import LEAST_CHECKPOINTS
from bench.tables.foresight import (
    BETWEEN_TRAININGS,
    TRAIN,
    PlannedFamily,
    PlannedStrategy,
    ends,
    told_of_fixed,
    told_ratio_of_drawn,
    told_ratio_of_trainings,
)
from bench.tables.variances import Drawn, Variances
from bench.tasks import Quantity

MOST_RUNS = 8
"""So many runs are looked at, the newest first."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Known:
    """Variances, and where they are from."""

    source: str
    by_workload: Mapping[str, Variances]
    relative: bool = False
    """They are of other workloads: only shares of dense's value are said, over all of them."""


@dataclass(frozen=True)
class Outlook:
    """Of the comparisons with dense of one workload and recovery: from which difference on each is told.

    Ranges are over the workloads that the variances are of: one, or where nothing is known of this one several.
    """

    workload: str
    recovery: str
    quantity: Quantity
    family: PlannedFamily
    checkpoints: int
    mild: Range | None
    """Of networks that are not drawn, mildly pruned: a difference in the unit of the number; a share of dense's value
    where `relative`. None: there are none, or nothing is known."""
    harsh: Range | None
    relative: bool
    fixed_by: str
    """Where these are from; empty: there are no such networks."""
    ratio: Range | None
    """Of networks that are drawn."""
    drawn_by: str
    trainings: Mapping[float, float]
    """Where there are at least three checkpoints: assumed standard deviation of log ratios between them -> the ratio
    that is told over all of them."""

    @property
    def has_fixed(self) -> bool:
        return any(not one.drawn for one in self.family.strategies)

    @property
    def has_drawn(self) -> bool:
        return any(one.drawn for one in self.family.strategies)


def outlooks(plan: Plan, results: Path | str) -> list[Outlook]:
    """One for each workload and recovery that has something to compare and a judge."""
    places: dict[tuple[str, str], list[ResolvedCell]] = {}
    for todo in plan.todo:
        places.setdefault((todo.cell.workload, todo.cell.after), []).append(todo)
    runs = EarlierRuns(Path(results))
    found = [_outlook(cells, plan.settings.num_images, plan.settings.metrics, runs) for cells in places.values()]
    return [one for one in found if one is not None]


def _outlook(cells: list[ResolvedCell], num_images: int, metrics: tuple[str, ...], runs: EarlierRuns) -> Outlook | None:
    first = cells[0]
    quantity = _judged(first, metrics)
    family = _family(cells, num_images)
    if quantity is None or not family.strategies:
        return None
    workload, metric = first.cell.workload, f"{quantity.name}[{first.loaded.judge.name}]"
    checkpoints = len({todo.cell.checkpoint for todo in cells})
    trained = any(TRAIN in one.streams for one in family.strategies)
    by_fixed = by_drawn = None
    if any(not one.drawn for one in family.strategies):
        found = _sources(workload, metric, runs)
        by_fixed = next((one for one in found if any(each.fixed for each in one.by_workload.values())), None)
    if any(one.drawn for one in family.strategies):
        by_drawn = next((one for one in _sources(workload, metric, runs) if _drawn(one, trained)), None)
    told = _told_fixed(by_fixed, family) if by_fixed else (None, None)
    ratios = [told_ratio_of_drawn(one, at, family) for one, at in _drawn(by_drawn, trained)]
    return Outlook(
        workload,
        first.cell.after,
        quantity,
        family,
        checkpoints,
        *told,
        relative=bool(by_fixed and by_fixed.relative),
        fixed_by=by_fixed.source if by_fixed else "",
        ratio=ends(ratios),
        drawn_by=by_drawn.source if by_drawn else "",
        trainings={sd: told_ratio_of_trainings(sd, checkpoints, family) for sd in BETWEEN_TRAININGS}
        if checkpoints >= LEAST_CHECKPOINTS
        else {},
    )


def _judged(todo: ResolvedCell, metrics: tuple[str, ...]) -> Quantity | None:
    """The first of the task's leaders that is measured."""
    task = todo.loaded.task
    leaders = (task.quantity(name) for name in task.leaders)
    return next((one for one in leaders if (one.at_n or one.name) in metrics), None)


def _family(cells: list[ResolvedCell], num_images: int) -> PlannedFamily:
    """The comparisons with dense of one checkpoint; of cells that turn out not to be applicable too."""
    levels: dict[tuple[str, str], set[str]] = {}
    streams: dict[tuple[str, str], frozenset[str]] = {}
    for todo in cells:
        if todo.strategy is None or todo.dense is None:
            continue
        key = (todo.cell.strategy, todo.cell.target)
        levels.setdefault(key, set()).add(todo.cell.level_label)
        streams[key] = streams.get(key, frozenset()) | todo.streams | todo.dense.streams
    strategies = tuple(
        PlannedStrategy(f"{name} {target}", len(levels[name, target]), streams[name, target]) for name, target in levels
    )
    return PlannedFamily(strategies, num_images, len({todo.cell.seed for todo in cells}))


def _sources(workload: str, metric: str, runs: EarlierRuns) -> Iterator[Known]:
    """The newest run of the workload under this judge, then the shipped prior, then what is relative in it."""
    for folder in runs.folders:
        found = runs.shown(folder).get(workload)
        if found is not None and found.metric == metric:
            yield Known(f"the run in {folder}", {workload: found})
    shipped = shipped_prior()
    if workload in shipped and shipped[workload].metric == metric:
        yield Known("the shipped prior", {workload: shipped[workload]})
    yield Known(
        "what is known of the shipped workloads, as nothing is of this one under this judge", shipped, relative=True
    )


class EarlierRuns:
    """The newest runs under ``results``, each read when it is asked for."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._shown: dict[Path, Mapping[str, Variances]] = {}

    @functools.cached_property
    def folders(self) -> tuple[Path, ...]:
        """The newest first, at most `MOST_RUNS`."""
        with contextlib.suppress(OSError):
            manifests = (self._results / "runs").glob(f"*/*/{RunPaths(self._results).manifest.name}")
            newest = sorted(manifests, key=lambda path: -path.stat().st_mtime)
            return tuple(path.parent for path in newest[:MOST_RUNS])
        return ()

    def shown(self, folder: Path) -> Mapping[str, Variances]:
        """What a run shows by workload. A damaged one shows nothing: it is no reason to have no plan."""
        if folder not in self._shown:
            self._shown[folder] = {}
            with contextlib.suppress(UserError):
                RunStore(folder).check_version()
                self._shown[folder] = variances_of_run(folder)
        return self._shown[folder]


def _told_fixed(known: Known, family: PlannedFamily) -> tuple[Range | None, Range | None]:
    """Mild, harsh."""
    mild: list[float] = []
    harsh: list[float] = []
    for found in known.by_workload.values():
        if found.fixed is None:
            continue
        unit = found.dense if known.relative else 1.0
        for variance, told in ((found.fixed.mild, mild), (found.fixed.harsh, harsh)):
            if variance is not None and unit > 0:
                told.append(told_of_fixed(variance, found.fixed, found.num_images, family) / unit)
    return ends(mild), ends(harsh)


def _drawn(known: Known | None, trained: bool) -> list[tuple[Drawn, int]]:
    """What is known of networks that are drawn, and the N that it is of."""
    found = [] if known is None else list(known.by_workload.values())
    pairs = [(one.trained if trained else one.pruned, one.num_images) for one in found]
    return [(drawn, at) for drawn, at in pairs if drawn is not None]
