"""Rows that may stand beside each other in a paper: at equal parameters, equal MACs or equal measured speed.

Nothing here is interpolated: a selected row is a network that exists, and lies within a stated tolerance of
what its group is matched on. What holds *at equal quality* is in `bench.tables.isoquality`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench.tables.naming import DENSE, strategy_order
from bench.tables.tidy import rows_of

Axis = Literal["params", "macs", "speedup"]
Row = dict[str, Any]

PLACE = ["workload", "checkpoint", "recovery"]
"""What all rows of one comparison have in common, dense included."""

SPEEDUPS = (1.5, 2.0, 3.0, 5.0, 10.0)


@dataclass(frozen=True)
class Selection:
    """Rows of `summarise` in groups of equal ``at``; dense of the same place comes first.

    The columns are the summary's, and ``at``: the level of the row's group (NaN for dense), ``off``: how far the row is
    from it.
    """

    axis: Axis
    how: str
    """How rows were matched, in words."""
    frame: pd.DataFrame
    left_out: tuple[str, ...] = ()
    """Rows asked for at one of the levels that did not come near enough to it, in words."""
    batch: int | None = None


def at_equal_params(summary: pd.DataFrame, tolerance: float, levels: Sequence[float] | None = None) -> Selection:
    """Rows whose achieved sparsity is within ``tolerance`` (absolute) of the sparsity that the group is named after.

    The levels are those asked for with target ``params`` (or, where there is no such row, of any target). A row
    with a requested sparsity stands at its own level or nowhere; a strategy with its own knob stands at the
    nearest level. A row without a network (infeasible, not applicable) stays at its level.
    """
    how = f"achieved sparsity within {tolerance:g} of the level"
    return _at_removed(summary, "params", levels, lambda kept, level: abs(kept - level), tolerance, how)


def at_equal_macs(
    summary: pd.DataFrame, tolerance: float, agreement: float = 0.1, levels: Sequence[float] | None = None
) -> Selection:
    """Rows that keep the same share of the dense MACs (effective: without zeros).

    Where the run has rows with target ``macs``: those, as in `at_equal_params`. Otherwise rows matched on
    something else that happen to agree: the remaining MACs within ``agreement`` (relative) of those of the level,
    the nearest row of each strategy.
    """
    if (summary["target"] == "macs").any():
        how = f"share of MACs removed within {tolerance:g} of the level"
        return _at_removed(summary, "macs", levels, lambda kept, level: abs(kept - level), tolerance, how)
    how = f"nearest row of each strategy with remaining MACs within {100 * agreement:g} % of the level's"
    return _at_removed(summary, "macs", levels, lambda kept, level: abs(kept / level - 1), agreement, how)


def at_equal_speedup(
    summary: pd.DataFrame, batch: int = 1, tolerance: float = 0.1, levels: Sequence[float] = SPEEDUPS
) -> Selection:
    """The nearest row of each strategy with a *measured* speed-up within ``tolerance`` (relative) of the level."""
    rows = rows_of(summary)
    column = f"speedup_b{batch}"
    found = _nearest(
        [row for row in rows if row["strategy"] != DENSE],
        levels,
        lambda row: row[column],
        lambda value, level: abs(value / level - 1),
        tolerance,
    )
    how = f"nearest row of each strategy with a measured speed-up within {100 * tolerance:g} % of the level's"
    return Selection("speedup", how, _with_dense(_compared(found), summary), batch=batch)


def _at_removed(
    summary: pd.DataFrame,
    axis: Literal["params", "macs"],
    levels: Sequence[float] | None,
    off: Callable[[float, float], float],
    tolerance: float,
    how: str,
) -> Selection:
    """Groups by the share that was removed; ``off`` compares what is kept."""
    rows = rows_of(summary)
    pruned = [row for row in rows if row["strategy"] != DENSE]
    own = [row for row in pruned if row["target"] == axis]
    if levels is None:
        levels = sorted({row["requested"] for row in own or pruned if not math.isnan(row["requested"])})
    column = f"achieved_{axis}"

    def kept(row: Row) -> float:
        return 1.0 - float(row[column])

    if not own:
        matched = _nearest(pruned, [1 - level for level in levels], kept, off, tolerance)
        found = [row | {"at": round(1 - row["at"], 12)} for row in matched]
        return Selection(axis, how, _with_dense(_compared(found), summary))
    found, left_out = [], []
    for row in own:
        level = row["requested"]
        if math.isnan(level):
            level = min(levels, key=lambda wanted: abs(wanted - row[column]), default=math.nan)
        if not any(math.isclose(level, wanted) for wanted in levels):
            continue
        distance = off(kept(row), 1 - level)
        if math.isnan(row[column]) and row["status"] != "ok":
            found.append(row | {"at": level, "off": math.nan})
        elif distance <= tolerance + 1e-9:
            found.append(row | {"at": level, "off": distance})
        elif not math.isnan(row["requested"]):
            left_out.append(f"{row['workload']} {row['strategy']} at {level:g} ({row[column]:.3f} achieved)")
    return Selection(axis, how, _with_dense(_one_each(found), summary), tuple(left_out))


def _nearest(
    rows: Sequence[Row],
    levels: Sequence[float],
    place: Callable[[Row], float],
    off: Callable[[float, float], float],
    tolerance: float,
) -> list[Row]:
    found = []
    for row in rows:
        value = place(row)
        if math.isnan(value) or not levels:
            continue
        level = min(levels, key=lambda wanted: off(value, wanted))
        if off(value, level) <= tolerance + 1e-9:
            found.append(row | {"at": level, "off": off(value, level)})
    return _one_each(found)


def _one_each(rows: Sequence[Row]) -> list[Row]:
    """Of each strategy, the row nearest to the level; the first of equals."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = (*_group(row), row["strategy"])
        if key not in best or row["off"] < best[key]["off"]:
            best[key] = row
    return list(best.values())


def _compared(rows: Sequence[Row]) -> list[Row]:
    """Only groups in which there is something to compare: two rows or more."""
    groups = [_group(row) for row in rows]
    return [row for row, group in zip(rows, groups, strict=True) if groups.count(group) > 1]


def _group(row: Row) -> tuple[Any, ...]:
    return (*(row[name] for name in PLACE), row["at"])


def _with_dense(found: Sequence[Row], summary: pd.DataFrame) -> pd.DataFrame:
    rows = rows_of(summary)
    places = {tuple(row[name] for name in PLACE) for row in found}
    dense = [row for row in rows if row["strategy"] == DENSE and tuple(row[name] for name in PLACE) in places]
    ordered = sorted([*(row | {"at": math.nan, "off": math.nan} for row in dense), *found], key=_order)
    return pd.DataFrame(ordered, columns=[*summary.columns, "at", "off"])


def _order(row: Row) -> tuple[object, ...]:
    first = row["strategy"] == DENSE
    return (*(row[name] for name in PLACE), not first, 0.0 if first else row["at"], strategy_order(row["strategy"]))
