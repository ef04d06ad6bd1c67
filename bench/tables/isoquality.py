"""At equal quality: how few parameters or MACs, or how little time, at a stated loss against dense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from bench.records.finishes import without_finish
from bench.statistics import t_interval
from bench.tables.latency import JOIN, SETTING, main_setting, with_latency
from bench.tables.lead import Judge, bounds_of
from bench.tables.naming import DENSE, granularity_of, strategy_order
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

Cost = Literal["params", "macs", "latency"]
Row = dict[str, Any]

CURVE = ["workload", "checkpoint", "recovery", "target", "strategy"]
"""The levels of one curve have this in common."""
NETWORK = [*JOIN, "zeros"]
"""What cells that share a latency have in common."""
POINT_COLUMNS = [*CURVE, "seed", "cost", "batch", "margin", "dense", "share", "bound", "reached"]
ISO_COLUMNS = [
    *CURVE, "granularity", "physical", "cost", "batch", "margin", "metric", "num_images", "version", "dense",
    "value", "ci95", "ratio", "n", "reached", "status", "varies", "task",
]  # fmt: skip


@dataclass(frozen=True)
class Margin:
    """How much quality may be lost: ``amount``, or that share of dense's value where ``relative``."""

    amount: float
    relative: bool = True

    def __post_init__(self) -> None:
        if not self.amount >= 0:
            raise ValueError(f"a margin of {self.amount}: quality may be lost, so it is 0 or more")

    def _of(self, quantity: Quantity) -> Quantity:
        if self.relative == quantity.relative:
            return quantity
        return replace(quantity, scale="log" if self.relative else "linear")

    def limit(self, dense: float, quantity: Quantity) -> float:
        """The worst value that is allowed beside ``dense``."""
        return self._of(quantity).limit(dense, self.amount)

    def label(self, quantity: Quantity) -> str:
        """``+10 %`` or ``+1.5``; where higher is better ``/ 1.1`` or ``−1.5``."""
        return self._of(quantity).allowed(self.amount)


def margins_of(quantity: Quantity) -> list[Margin]:
    """The losses that a quantity's table has rows for."""
    return [Margin(amount, relative=quantity.relative) for amount in quantity.bounds]


@dataclass(frozen=True)
class Level:
    """One network of a curve: how much was removed, its quality (NaN: collapsed), its cost as a share of dense."""

    removed: float
    quality: float
    share: float


@dataclass(frozen=True)
class Crossing:
    """The lowest cost that keeps the quality, as a share of dense."""

    share: float
    bound: bool
    """The quality was still held at the last level that could be judged: the true share is at most this."""
    reached: bool
    """Whether any pruned level holds the quality; if not, the crossing lies between dense and the mildest level."""


def lowest_cost(levels: Sequence[Level], limit: float, quantity: Quantity) -> Crossing:
    """Where a curve (dense first, then more and more removed) is no worse than ``limit`` at the lowest cost.

    Between neighbouring levels the quality is taken as linear in the cost, on its own scale. Nothing is interpolated
    towards a collapsed level and nothing extrapolated beyond the last one. Where the curve comes back to the limit
    after leaving it, the cheaper part counts: that network exists.
    """
    holds = [quantity.holds(level.quality, limit) for level in levels]
    found: list[tuple[float, bool]] = []
    for index, level in enumerate(levels):
        after = levels[index + 1] if index + 1 < len(levels) else None
        if holds[index]:
            found.append((level.share, after is None or math.isnan(after.quality)))
        if after is not None and holds[index] != holds[index + 1] and not math.isnan(level.quality + after.quality):
            found.append((_between(level, after, limit, quantity), False))
    if not found:
        return Crossing(math.nan, False, False)
    share, bound = min(found)
    return Crossing(share, bound, any(holds[1:]))


def _between(one: Level, other: Level, limit: float, quantity: Quantity) -> float:
    """The share where the line between two levels, of which one holds the limit, crosses it."""
    low, high, wanted = one.quality, other.quality, limit
    if not quantity.relative or min(low, high, wanted) > 0:
        drawn = replace(quantity, scale="log") if quantity.relative else quantity
        low, high, wanted = drawn.on_scale(low), drawn.on_scale(high), drawn.on_scale(wanted)
    if low == high or not math.isfinite(high - low):
        # Told apart from the limit by one rounding, or further apart than numbers go: the level that holds it.
        return one.share if quantity.holds(one.quality, limit) else other.share
    return one.share + min(max((wanted - low) / (high - low), 0.0), 1.0) * (other.share - one.share)


def iso_points(
    frame: pd.DataFrame,
    latency: pd.DataFrame,
    margins: Sequence[Margin] | None = None,
    batches: Sequence[int] = (1, 16),
) -> pd.DataFrame:
    """One row for each curve, seed, cost and margin, from the `tidy` and the `latency_table` table.

    The limit is the dense value of the same recovery and seed, made worse by the margin (None: those of the quantity
    that the workload's task bounds by). ``share`` is the lowest cost as a
    share of ``dense`` (parameters: non-zero; MACs: effective, of those that dense executes; latency: 1 / measured
    speed-up on the main setting, ``dense`` in ms). Seeds without a usable dense cell or a pruned one are missing.
    """
    judges = bounds_of(frame)
    cells = _cells(frame, judges)
    speed = {batch: _speedups(frame, latency, batch) for batch in batches}
    curves: dict[tuple[Any, ...], list[Row]] = {}
    dense: dict[tuple[Any, ...], Row] = {}
    for cell in cells:
        if cell["strategy"] == DENSE:
            if cell["status"] == "ok" and cell["recovery"] == without_finish(cell["recovery"]):
                dense[_seed_of(cell)] = cell
        else:
            curves.setdefault((*(cell[name] for name in CURVE), cell["seed"]), []).append(cell)
    costs: list[tuple[Cost, int]] = [("params", 0), ("macs", 0), *(("latency", batch) for batch in batches)]
    rows = []
    for key, members in curves.items():
        base = dense.get(_seed_of(members[0]))
        judge = judges[key[0]]
        if base is None or judge is None:
            continue
        members.sort(key=lambda cell: cell[f"achieved_{cell['target']}"])
        for cost, batch in costs:
            of_dense, shares = _shares([base, *members], cost, speed.get(batch, {}))
            levels = [
                Level(
                    cell[f"achieved_{cell['target']}"], cell["quality"] if cell["status"] == "ok" else math.nan, share
                )
                for cell, share in zip([base, *members], shares, strict=True)
                if not math.isnan(share)
            ]
            if len(levels) < 2 or math.isnan(shares[0]):
                continue
            named = dict(zip([*CURVE, "seed"], key, strict=True)) | {"cost": cost, "batch": batch, "dense": of_dense}
            for margin in margins_of(judge.quantity) if margins is None else margins:
                crossing = lowest_cost(levels, margin.limit(base["quality"], judge.quantity), judge.quantity)
                shown = {"share": crossing.share, "bound": crossing.bound, "reached": crossing.reached}
                rows.append(named | {"margin": margin.label(judge.quantity)} | shown)
    return pd.DataFrame(rows, columns=POINT_COLUMNS)


def iso_quality(frame: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """`iso_points` over the seeds: one row for each curve, cost and margin.

    ``value`` (parameters, MACs of one image, or ms) with ``ci95``, the half width of the 95 % t-interval over the
    ``n`` seeds; ``ratio`` is dense / value; ``reached`` counts the seeds in which a pruned level holds the quality.
    ``status``: ``ok``; ``as dense``, for the latency of networks that have the dense architecture (masks: there is
    nothing to measure between the two, so no interval); ``at least``, where some seed still held it at its last level
    (``value`` is an upper and ``ratio`` a lower bound, without an interval); ``not reached``, where the mildest level
    exceeds it in every seed.
    """
    about = _about(frame)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows_of(points):
        groups.setdefault(tuple(row[name] for name in [*CURVE, "cost", "batch", "margin"]), []).append(row)
    rows = [
        dict(zip([*CURVE, "cost", "batch", "margin"], key, strict=True)) | about[key[:5]] | _over_seeds(members)
        for key, members in groups.items()
    ]
    rows.sort(key=lambda row: (*(row[name] for name in CURVE[:4]), strategy_order(row["strategy"])))
    return pd.DataFrame(rows, columns=ISO_COLUMNS)


def _over_seeds(members: Sequence[Row]) -> Row:
    reached = sum(bool(row["reached"]) for row in members)
    bound = any(row["bound"] for row in members)
    dense = t_interval([row["dense"] for row in members]).mean
    # Where not even dense holds the limit (a share of a quality below 0) there is no crossing.
    share = t_interval([row["share"] for row in members if not math.isnan(row["share"])])
    shared: Row = {"dense": dense, "n": share.n, "reached": reached}
    if not reached:
        return shared | {"status": "not reached", "value": math.nan, "ci95": math.nan, "ratio": math.nan}
    if members[0]["cost"] == "latency" and all(row["share"] == 1.0 for row in members):
        return shared | {"status": "as dense", "value": dense, "ci95": math.nan, "ratio": 1.0}
    status, half = ("at least", math.nan) if bound else ("ok", share.half * dense)
    return shared | {
        "status": status,
        "value": share.mean * dense,
        "ci95": half,
        "ratio": 1 / share.mean if share.mean else math.inf,
    }


def _cells(frame: pd.DataFrame, judges: Mapping[str, Judge | None]) -> list[Row]:
    """One row for each cell that has a network, with its quality and its counts beside it."""
    cells: dict[tuple[Any, ...], Row] = {}
    for row in rows_of(frame[frame["status"].isin(["ok", "collapsed"])]):
        key = (*(row[name] for name in CURVE), row["level"], row["seed"])
        cell = cells.setdefault(key, row | {"quality": math.nan})
        cell[row["metric"]] = row["value"]
        judge = judges[row["workload"]]
        if judge and row["metric"] == judge.metric:
            cell["quality"] = row["value"]
    placed = [cell for cell in cells.values() if not math.isnan(cell[f"achieved_{cell['target']}"])]
    return [cell for cell in placed if cell["status"] == "collapsed" or not math.isnan(cell["quality"])]


def _seed_of(cell: Row) -> tuple[Any, ...]:
    return (cell["workload"], cell["checkpoint"], without_finish(cell["recovery"]), cell["seed"])


def _shares(cells: Sequence[Row], cost: Cost, speed: dict[tuple[Any, ...], Row]) -> tuple[float, list[float]]:
    """Dense's cost, and each cell's as a share of it (NaN: unknown); ``cells[0]`` is dense."""
    if cost == "latency":
        timed = [speed.get(tuple(cell[name] for name in NETWORK), {}) for cell in cells]
        shares = [1 / row["speedup"] if row.get("speedup") else math.nan for row in timed]
        return float(timed[0].get("dense_ms", math.nan)), shares
    pruned, whole = ("params_nonzero", "params_nonzero") if cost == "params" else ("macs_effective", "macs_dense")
    dense = float(cells[0].get(whole, math.nan))
    return dense, [float(cell.get(pruned, math.nan)) / dense if dense else math.nan for cell in cells]


def _speedups(frame: pd.DataFrame, latency: pd.DataFrame, batch: int) -> dict[tuple[Any, ...], Row]:
    """By (workload, checkpoint, architecture, zeros), on the setting that the main table shows."""
    setting = main_setting(latency)
    if setting is None:
        return {}
    chosen = latency[(latency[SETTING] == pd.Series(setting)).all(axis=1) & (latency["batch"] == batch)]
    cells = frame.loc[frame["architecture"] != "", NETWORK].drop_duplicates()
    rows = [row for row in rows_of(with_latency(cells, chosen)) if not math.isnan(row["speedup"])]
    return {tuple(row[name] for name in NETWORK): row for row in rows}


def _about(frame: pd.DataFrame) -> dict[tuple[Any, ...], Row]:
    """What is true of all cells of a curve."""
    found: dict[tuple[Any, ...], Row] = {}
    judges = bounds_of(frame)
    for workload, rows in frame.groupby("workload"):
        judge = judges[str(workload)]
        metric = judge.metric if judge else ""
        for key, group in rows[rows["status"].isin(["ok", "collapsed"])].groupby(CURVE):
            judged = group[group["metric"] == metric]
            found[tuple(key)] = {
                "metric": metric,
                "num_images": float(judged["num_images"].max()),
                "version": str(judged["version"].iloc[0]) if len(judged) else "",
                "granularity": granularity_of(str(group["strategy"].iloc[0])),
                "physical": bool(group["physical"].all()),
                "varies": "; ".join(sorted(set(group["varies"]) - {""})),
                "task": str(group["task"].iloc[0]),
            }
    return found
