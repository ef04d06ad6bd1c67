"""How much of the cost-quality plane a strategy wins, as one number with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.tables.intervals import t_interval
from bench.tables.naming import DENSE, main_metric, row_order
from bench.tables.tidy import rows_of

TOLERATED = 10.0
"""The reference point's FID is this many times the dense FID."""

COSTS = ("macs_dense", "macs_effective")
"""What dense kernels execute, and what is left where zeros are skipped (theoretical for masks)."""

HYPERVOLUME_COLUMNS = [
    "workload", "checkpoint", "strategy", "target", "recovery", "granularity", "cost", "fid_metric", "n", "seeds",
    "mean", "std", "ci95", "low", "high", "values", "physical", "varies",
]  # fmt: skip

Row = dict[str, Any]
_Key = tuple[str, str, str, str, str]


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Area that ``points`` dominate within the box that ``reference`` bounds; lower is better on both axes.

    A point that is not below the reference on both axes adds nothing; neither does a dominated one.
    """
    area, floor = 0.0, reference[1]
    for x, y in sorted(point for point in points if point[0] < reference[0]):
        if y < floor:
            area += (reference[0] - x) * (floor - y)
            floor = y
    return area


def hypervolume_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each (workload, checkpoint, strategy, target, recovery, cost): hypervolume over the seeds.

    For each seed, the 2-D hypervolume of the points (log10 cost, log10 FID) over the strategy's levels. **Reference
    point**: the dense generator's cost, and `TOLERATED` (10) times its FID, of the same recovery and seed. It depends
    on dense alone, so a strategy's number does not change with the strategies beside it. Dense itself has 0; a
    collapsed or unreachable cell adds nothing. More levels fill more of the plane: compare strategies that were run
    at the same ones.

    Because the box is one decade of FID high, the number reads as decades of cost saved, averaged over the tolerated
    FID from the dense one to ten times that (on a log scale): 0 where every saving costs too much quality, 1 where a
    tenth of the cost holds the dense FID. A FID below dense adds to it.

    ``values`` are the seeds' hypervolumes, in the order of the seeds; ``mean, std, ci95, low, high`` their mean and
    95 % t-interval. ``n`` of ``seeds`` have a dense cell to compare with; rows without any are left out.
    """
    leaders = {
        str(workload): main_metric(rows["metric"].tolist(), "fid")
        for workload, rows in frame.groupby("workload", sort=False)
    }
    cells: dict[tuple[Any, ...], Row] = {}
    for row in rows_of(frame):
        key = (*_key(row), row["level"], row["seed"])
        cell = cells.setdefault(key, row | {"numbers": {}})
        cell["numbers"][row["metric"]] = row["value"]
    groups: dict[_Key, list[Row]] = {}
    dense: dict[tuple[Any, ...], Row] = {}
    for cell in cells.values():
        if cell["strategy"] == DENSE:
            dense[_pair(cell)] = cell
        elif cell["status"] != "not-applicable":
            groups.setdefault(_key(cell), []).append(cell)
    found = [
        _row(key, members, dense, cost, fid)
        for key, members in groups.items()
        for cost in COSTS
        if (fid := leaders[key[0]])
    ]
    rows = [row for row in found if row is not None]
    rows.sort(key=lambda row: (*row_order(*_order(row)), COSTS.index(row["cost"])))
    return pd.DataFrame(rows, columns=HYPERVOLUME_COLUMNS)


def _row(key: _Key, cells: Sequence[Row], dense: dict[tuple[Any, ...], Row], cost: str, fid: str) -> Row | None:
    by_seed: dict[int, list[Row]] = {}
    for cell in cells:
        by_seed.setdefault(cell["seed"], []).append(cell)
    values = []
    for seed in sorted(by_seed):
        base = dense.get(_pair(by_seed[seed][0]))
        origin = _point(base, cost, fid) if base else None
        if origin is not None:
            points = [point for cell in by_seed[seed] if (point := _point(cell, cost, fid)) is not None]
            values.append(hypervolume(points, (origin[0], origin[1] + math.log10(TOLERATED))))
    if not values:
        return None
    interval = t_interval(values)
    shared = dict(zip(("workload", "checkpoint", "strategy", "target", "recovery"), key, strict=True))
    numbers = {
        "n": interval.n, "seeds": len(by_seed), "mean": interval.mean, "std": interval.std, "ci95": interval.half,
        "low": interval.low, "high": interval.high, "values": tuple(values),
    }  # fmt: skip
    described = {
        "granularity": cells[0]["granularity"],
        "cost": cost,
        "fid_metric": fid,
        "physical": any(cell["physical"] for cell in cells),
        "varies": "; ".join(sorted({cell["varies"] for cell in cells if cell["varies"]})),
    }
    return shared | described | numbers


def _point(cell: Row, cost: str, fid: str) -> tuple[float, float] | None:
    """(log10 cost, log10 FID); None where the cell has no usable pair."""
    pair = (cell["numbers"].get(cost, math.nan), cell["numbers"].get(fid, math.nan))
    if cell["status"] != "ok" or not all(math.isfinite(value) and value > 0 for value in pair):
        return None
    return math.log10(pair[0]), math.log10(pair[1])


def _key(row: Row) -> _Key:
    return (row["workload"], row["checkpoint"], row["strategy"], row["target"], row["recovery"])


def _pair(row: Row) -> tuple[Any, ...]:
    return (row["workload"], row["checkpoint"], row["recovery"], row["seed"])


def _order(row: Row) -> tuple[str, str, str, str, str, float, str]:
    return (row["workload"], row["checkpoint"], row["recovery"], row["target"], row["strategy"], math.nan, "")
