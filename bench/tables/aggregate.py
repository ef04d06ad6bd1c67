"""Over the seeds: means, intervals, paired differences to dense, collapse."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bench.records.finishes import without_finish
from bench.statistics import Difference, Estimate, Interval, estimated, t_interval
from bench.tables.evidence import UNKNOWN, Evidence, alone, compared
from bench.tables.naming import DENSE, row_order
from bench.tables.tidy import refuse_mixed_versions, rows_of
from bench.tasks import known_quantity

GROUP_COLUMNS = ["workload", "checkpoint", "strategy", "target", "level", "recovery"]
"""What the seeds of one aggregated row have in common (and the metric)."""

AGGREGATED_COLUMNS = [
    *GROUP_COLUMNS, "granularity", "requested", "metric", "unit", "direction", "kind", "version",
    "num_images", "n", "seeds", "mean", "std", "ci95", "low", "high", "interval", "collapsed",
    "delta_n", "delta_mean", "delta_std", "delta_ci95", "delta_low", "delta_high",
    "finite_n", "finite_mean", "finite_ci95", "finite_delta_mean", "finite_delta_ci95",
    "achieved_params", "achieved_macs", "physical", "varies", "status", "reason", "task",
]  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class _Group:
    """What is true of all seeds of a group, whatever the metric."""

    cells: list[Row]
    """One row for each seed."""

    @property
    def statuses(self) -> Counter[str]:
        return Counter(row["status"] for row in self.cells)

    @property
    def collapsed(self) -> str:
        count = self.statuses["collapsed"]
        return f"collapsed {count}/{len(self.cells)}" if count else ""

    @property
    def status(self) -> str:
        """``ok``, or what went otherwise with its share of the seeds: ``collapsed 2/3``, ``infeasible``."""
        statuses = self.statuses
        if len(statuses) == 1 and "collapsed" not in statuses:
            return next(iter(statuses))
        return ", ".join(
            f"{name} {count}/{len(self.cells)}" for name, count in sorted(statuses.items()) if name != "ok"
        )

    def mean(self, column: str) -> float:
        return t_interval([row[column] for row in self.cells if not math.isnan(row[column])]).mean

    def words(self, column: str) -> str:
        return "; ".join(sorted({row[column] for row in self.cells if row[column]}))


def aggregate(frame: pd.DataFrame, evidence: Evidence | None = None) -> pd.DataFrame:
    """One row for each (workload, checkpoint, strategy, target, level, recovery, metric), over the seeds.

    ``mean, std`` (ddof 1 over the seeds), ``ci95`` (half width of the 95 % interval of the mean), ``low, high`` in the
    metric's ``unit``; ``n`` values entered out of ``seeds`` cells; ``interval`` says what the interval is: ``95 %``,
    from the error that the images have in each cell, and where more than evaluation inputs was drawn from the spread
    over the seeds as well (`bench.statistics.components`); where nothing is known of the images ``95 % t`` over the
    seeds, ``no spread over seeds``: 0, ``one seed: no interval``: NaN. Where a seed collapsed, a stochastic metric has
    no mean but ``collapsed``: ``collapsed 2/3``. ``delta_*``: the differences to the dense cell of the same recovery
    and seed, paired by seed and, through ``evidence``, image by image (NaN for dense itself). ``finite_*`` are over
    every seed with a value, those that collapsed among them: to be shown beside ``collapsed``, never to be ranked,
    tested or recommended by. ``achieved_*`` are means over the seeds. ``varies`` names the random streams that the
    spread is over: ``eval`` alone is a spread over latents only, not over prunings or trainings. A group without any
    number is one row with an empty ``metric``.

    Raises:
        UserError: numbers of different versions would stand side by side.
    """
    refuse_mixed_versions(frame)
    rows = rows_of(frame)
    groups = {key: _Group(list({row["seed"]: row for row in members}.values())) for key, members in _split(rows)}
    dense = {_pair(row): row["value"] for row in rows if _is_base(row) and row["status"] == "ok"}
    measured = {_key(row) for row in rows if row["metric"]}
    kept = [row for row in rows if row["metric"] or _key(row) not in measured]
    split = _split(kept, "metric")
    own, paired = _from_images(rows, split, evidence or Evidence())
    result = [_row(groups[key[:-1]], members, dense, own.get(key), paired.get(key)) for key, members in split]
    result.sort(key=_order)
    return pd.DataFrame(result, columns=AGGREGATED_COLUMNS)


def _row(
    group: _Group,
    members: list[Row],
    dense: dict[tuple[Any, ...], float],
    own: Estimate | None,
    paired: Estimate | None,
) -> Row:
    first = members[0]
    hidden = bool(group.collapsed) and first["kind"] != "exact"
    finite = [row for row in members if not math.isnan(row["value"])]
    usable = finite if first["kind"] == "exact" else [row for row in finite if row["status"] == "ok"]
    interval = t_interval([] if hidden else [row["value"] for row in usable])
    delta = t_interval([] if hidden else _differences(usable, dense))
    every, every_delta = t_interval([row["value"] for row in finite]), t_interval(_differences(finite, dense))
    if not hidden:
        interval, delta = _known(interval, own), _known(delta, paired)
        if len(usable) == len(finite):
            every, every_delta = interval, delta
    named = [*GROUP_COLUMNS, "granularity", "requested", "metric", "physical", "task"]
    shared = {name: first[name] for name in named}
    number = {name: first[name] for name in ["unit", "direction", "kind", "version", "num_images"]}
    return (
        shared
        | number
        | {
            "n": len(usable),
            "seeds": len(group.cells),
            "mean": interval.mean,
            "std": interval.std,
            "ci95": interval.half,
            "low": interval.low,
            "high": interval.high,
            "interval": group.collapsed if hidden else interval.note,
            "collapsed": group.collapsed if hidden or not first["metric"] else "",
            "delta_n": delta.n,
            "delta_mean": delta.mean,
            "delta_std": delta.std,
            "delta_ci95": delta.half,
            "delta_low": delta.low,
            "delta_high": delta.high,
            "finite_n": every.n,
            "finite_mean": every.mean,
            "finite_ci95": every.half,
            "finite_delta_mean": every_delta.mean,
            "finite_delta_ci95": every_delta.half,
            "achieved_params": group.mean("achieved_params"),
            "achieved_macs": group.mean("achieved_macs"),
            "varies": group.words("varies"),
            "status": group.status,
            "reason": group.words("reason"),
        }
    )


def _from_images(
    rows: list[Row], split: list[tuple[tuple[Any, ...], list[Row]]], evidence: Evidence
) -> tuple[dict[tuple[Any, ...], Estimate], dict[tuple[Any, ...], Estimate]]:
    """The mean of each group, and its difference to dense, with their errors, where those of the images are known."""
    cells: dict[tuple[Any, ...], dict[int, dict[str, Row]]] = {}
    for row in rows:
        if row["status"] == "ok":
            cells.setdefault(_key(row), {}).setdefault(row["seed"], {})[row["metric"]] = row
    dense = {_place(key): key for key in cells if key[2] == DENSE and key[5] == without_finish(key[5])}
    own: dict[tuple[Any, ...], dict[tuple[Any, ...], Difference]] = {}
    paired: dict[tuple[Any, ...], dict[tuple[Any, ...], Difference]] = {}
    for key, members in split:
        usable = [row for row in members if row["status"] == "ok" and not math.isnan(row["value"])]
        if not usable or any(math.isnan(row["error"]) for row in usable):
            continue
        mine, metric = cells[key[:-1]], key[-1]
        quantity = known_quantity(metric.partition("[")[0])
        # Variances are looked at together within a workload and a metric.
        place = (key[0], metric)
        named = quantity.at_n and metric.replace(quantity.name, quantity.at_n, 1) if quantity else ""
        at_n = [mine[row["seed"]].get(named, row)["value"] for row in usable]
        own.setdefault(place, {})[key] = alone(usable, at_n, evidence)
        base = dense.get(_place(key[:-1]))
        if base is None or key[:-1] == base or quantity is None:
            continue
        difference = compared(mine, cells[base], metric, replace(quantity, scale="linear"), evidence)
        if difference is not None and difference.varies.isdisjoint({UNKNOWN}):
            paired.setdefault(place, {})[key] = difference
    return _estimated(own), _estimated(paired)


def _estimated(parts: dict[tuple[Any, ...], dict[tuple[Any, ...], Difference]]) -> dict[tuple[Any, ...], Estimate]:
    found: dict[tuple[Any, ...], Estimate] = {}
    for members in parts.values():
        for key, estimate in zip(members, estimated(list(members.values())), strict=True):
            if estimate is not None:
                found[key] = estimate
    return found


def _known(interval: Interval, estimate: Estimate | None) -> Interval:
    """The interval with what is known of the images; as it is where nothing is, or there is no value."""
    if estimate is None or not interval.n:
        return interval
    return replace(interval, half=estimate.upper(0.025) - estimate.difference, note="95 %")


def _place(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Workload, checkpoint and recovery: what a dense cell is compared within. A finish is compared with dense
    without one.
    """
    return (key[0], key[1], without_finish(key[5]))


def _is_base(row: Row) -> bool:
    """Whether others are compared with it: dense, as its recovery left it."""
    return bool(row["strategy"] == DENSE and row["recovery"] == without_finish(row["recovery"]))


def _differences(rows: Iterable[Row], dense: dict[tuple[Any, ...], float]) -> list[float]:
    """Paired by seed, of the rows with a usable dense value; none for dense itself."""
    pairs = [(row["value"], dense.get(_pair(row), math.nan)) for row in rows if not _is_base(row)]
    return [value - base for value, base in pairs if not math.isnan(base)]


def _split(rows: Iterable[Row], *more: str) -> list[tuple[tuple[Any, ...], list[Row]]]:
    parts: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        parts.setdefault(_key(row) + tuple(row[name] for name in more), []).append(row)
    return list(parts.items())


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in GROUP_COLUMNS)


def _pair(row: Row) -> tuple[Any, ...]:
    return (row["workload"], row["checkpoint"], without_finish(row["recovery"]), row["seed"], row["metric"])


def _order(row: Row) -> tuple[object, ...]:
    names = ["workload", "checkpoint", "recovery", "target", "strategy", "requested", "level"]
    return row_order(*[row[name] for name in names])
