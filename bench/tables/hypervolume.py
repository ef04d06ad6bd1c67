"""How much of the cost-quality plane a strategy wins, as one number with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.records.finishes import without_finish
from bench.statistics import hypervolume, t_interval
from bench.tables.lead import Judge, areas_of
from bench.tables.naming import DENSE, row_order
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

COSTS = ("macs_dense", "macs_effective")
"""What dense kernels execute, and what is left where zeros are skipped (theoretical for masks)."""

HYPERVOLUME_COLUMNS = [
    "workload", "checkpoint", "strategy", "target", "recovery", "granularity", "cost", "metric", "n", "seeds",
    "mean", "std", "ci95", "low", "high", "values", "physical", "varies", "task",
]  # fmt: skip

Row = dict[str, Any]
_Key = tuple[str, str, str, str, str]


def hypervolume_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each (workload, checkpoint, strategy, target, recovery, cost): hypervolume over the seeds.

    For each seed, the 2-D hypervolume of the points (log10 cost, loss of quality) over the strategy's levels, of the
    quantity that the task takes areas of. **Reference point**: the dense generator's cost, and its quality less what
    the quantity tolerates (ten times dense's value, say), of the same recovery and seed. It depends on dense alone, so
    a strategy's number does not change with the strategies beside it. Dense itself has 0; a collapsed or unreachable
    cell adds nothing. More levels fill more of the plane: compare strategies that were run at the same ones.

    Because the tolerated loss is the unit, the number reads as decades of cost saved, averaged over the losses from
    none to the tolerated one (on the quantity's scale): 0 where every saving costs too much quality, 1 where a tenth of
    the cost holds dense's quality. A network better than dense adds to it. A quantity without a tolerated loss has no
    row.

    ``values`` are the seeds' hypervolumes, in the order of the seeds; ``mean, std, ci95, low, high`` their mean and
    95 % t-interval. ``n`` of ``seeds`` have a dense cell to compare with; rows without any are left out.
    """
    judges = areas_of(frame)
    cells: dict[tuple[Any, ...], Row] = {}
    for row in rows_of(frame):
        key = (*_key(row), row["level"], row["seed"])
        cell = cells.setdefault(key, row | {"numbers": {}})
        cell["numbers"][row["metric"]] = row["value"]
    groups: dict[_Key, list[Row]] = {}
    dense: dict[tuple[Any, ...], Row] = {}
    for cell in cells.values():
        if cell["strategy"] == DENSE:
            if cell["recovery"] == without_finish(cell["recovery"]):
                dense[_pair(cell)] = cell
        elif cell["status"] != "not-applicable":
            groups.setdefault(_key(cell), []).append(cell)
    found = [
        _row(key, members, dense, cost, judge)
        for key, members in groups.items()
        for cost in COSTS
        if (judge := judges[key[0]]) and judge.quantity.tolerated is not None
    ]
    rows = [row for row in found if row is not None]
    rows.sort(key=lambda row: (*row_order(*_order(row)), COSTS.index(row["cost"])))
    return pd.DataFrame(rows, columns=HYPERVOLUME_COLUMNS)


def _row(key: _Key, cells: Sequence[Row], dense: dict[tuple[Any, ...], Row], cost: str, judge: Judge) -> Row | None:
    by_seed: dict[int, list[Row]] = {}
    for cell in cells:
        by_seed.setdefault(cell["seed"], []).append(cell)
    values = []
    height = _tolerated(judge.quantity)
    for seed in sorted(by_seed):
        base = dense.get(_pair(by_seed[seed][0]))
        origin = _point(base, cost, judge) if base else None
        if origin is not None:
            points = [point for cell in by_seed[seed] if (point := _point(cell, cost, judge)) is not None]
            values.append(hypervolume(points, (origin[0], origin[1] + height)) / height)
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
        "metric": judge.metric,
        "physical": any(cell["physical"] for cell in cells),
        "varies": "; ".join(sorted({cell["varies"] for cell in cells if cell["varies"]})),
        "task": cells[0]["task"],
    }
    return shared | described | numbers


def _point(cell: Row, cost: str, judge: Judge) -> tuple[float, float] | None:
    """(log10 cost, quality with less being better); None where the cell has no usable pair."""
    spent, value = cell["numbers"].get(cost, math.nan), cell["numbers"].get(judge.metric, math.nan)
    if cell["status"] != "ok" or not (math.isfinite(spent) and spent > 0 and math.isfinite(value)):
        return None
    quantity = judge.quantity
    if quantity.scale != "log":
        return math.log10(spent), quantity.sign * quantity.on_scale(value)
    return (math.log10(spent), quantity.sign * math.log10(value)) if value > 0 else None


def _tolerated(quantity: Quantity) -> float:
    """The tolerated loss where points are: decades on a log scale."""
    assert quantity.tolerated is not None
    return math.log10(quantity.tolerated) if quantity.scale == "log" else quantity.tolerated


def _key(row: Row) -> _Key:
    return (row["workload"], row["checkpoint"], row["strategy"], row["target"], row["recovery"])


def _pair(row: Row) -> tuple[Any, ...]:
    return (row["workload"], row["checkpoint"], without_finish(row["recovery"]), row["seed"])


def _order(row: Row) -> tuple[str, str, str, str, str, float, str]:
    return (row["workload"], row["checkpoint"], row["recovery"], row["target"], row["strategy"], math.nan, "")
