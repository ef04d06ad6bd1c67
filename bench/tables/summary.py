"""The table that people read: one row for each (workload, strategy, level, recovery)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.claim import Claims
from bench.tables.latency import SETTING, main_setting, with_latency
from bench.tables.lead import judge_by, task_of, tasks_of
from bench.tables.naming import DENSE, main_metric
from bench.tables.tidy import rows_of
from bench.tasks import Task

_BEFORE = [
    *GROUP_COLUMNS, "granularity", "requested", "achieved_params", "achieved_macs",
    "params", "params_ratio", "params_nonzero", "params_nonzero_ratio",
    "macs_dense", "macs_dense_ratio", "macs_effective", "speedup_theoretical",
]  # fmt: skip
_AFTER = [
    "latency_b1_ms", "latency_b16_ms",
    "speedup_b1", "speedup_b1_low", "speedup_b1_high", "speedup_b16", "speedup_b16_low", "speedup_b16_high",
    "latency_setting", "latency_status",
    "n", "finite_n", "seeds", "varies", "collapsed", "physical", "status", "reason", "task",
]  # fmt: skip
_CLAIMED = ("delta_low", "delta_high", "loses_at_most", "allowed_loss", "against_dense", "against_reference")
_WORDS = ("against_dense", "against_reference")
_FINITE = ("finite_mean", "finite_ci95")
_OF_A_LEADER = (
    "metric", "num_images", "mean", "ci95", "delta_mean", "delta_ci95", *_FINITE, "finite_delta_mean",
    "finite_delta_ci95",
)  # fmt: skip
_OF_OTHERS = ("metric", "mean", "ci95", *_FINITE)
SHOWN_BATCHES = (1, 16)

Row = dict[str, Any]


def summary_columns(tasks: Sequence[Task]) -> list[str]:
    """The columns of `summarise` for workloads of these tasks: those of each leader, then of what stands beside it."""
    quality = [f"{name}_{part}" for task in tasks for name in task.leaders for part in _OF_A_LEADER]
    quality += [f"{name}_{part}" for task in tasks for name in task.beside for part in _OF_OTHERS]
    return [*_BEFORE, *dict.fromkeys(quality), *_CLAIMED, *_AFTER]


def summarise(
    frame: pd.DataFrame, aggregated: pd.DataFrame, latency: pd.DataFrame, claims: Claims | None = None
) -> pd.DataFrame:
    """Numbers of the main table, from the `tidy`, the `aggregate`d and the `latency_table` table.

    ``params*`` are counts (means over seeds), ``macs_*`` multiply-accumulates for one image: ``macs_dense``
    what dense kernels execute, ``macs_effective`` without zeros. ``*_ratio`` are dense / pruned (above 1:
    smaller); ``speedup_theoretical`` is that of the effective MACs, ``speedup_b1`` and ``speedup_b16`` are
    measured on the setting named in ``latency_setting`` (``latency_*_ms``: milliseconds a call; low and high:
    the widest over the architectures of the seeds). For each quantity ``q`` that leads the workload's task ``q_metric,
    q_num_images, q_mean, q_ci95`` and ``q_delta_*``, the paired differences to dense of the same recovery; for each
    that stands beside it the first, the mean and its interval. ``n`` is that of the quantity that judges.
    ``q_finite_*`` and ``finite_n`` count the seeds that collapsed as well (see `aggregate`): they are shown, and decide
    nothing. From ``claims``: ``delta_low, delta_high`` (the interval of the difference to dense that holds together
    with all others of its family), ``loses_at_most`` and ``allowed_loss`` (the margin), ``against_dense`` and
    ``against_reference`` (the verdicts). NaN where there is no number: ``status`` and ``reason`` say why.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows_of(aggregated):
        groups.setdefault(tuple(row[name] for name in GROUP_COLUMNS), []).append(row)
    speed = _speedups(frame, latency)
    tasks = {str(workload): task_of(rows) for workload, rows in aggregated.groupby("workload", sort=False)}
    metrics = {
        str(workload): _main_metrics(tasks[str(workload)], rows["metric"].tolist())
        for workload, rows in aggregated.groupby("workload", sort=False)
    }
    columns = summary_columns(tasks_of(aggregated))
    nothing = {name: "" if name.endswith("_metric") or name in _WORDS else math.nan for name in columns}
    dense = {(key[0], key[1]): _values(rows) for key, rows in groups.items() if key[2] == DENSE}
    rows = [
        nothing | _row(members, dense.get((key[0], key[1]), {}), speed.get(key, {}), tasks[key[0]], metrics[key[0]])
        for key, members in groups.items()
    ]
    said = _claimed(claims)
    rows = [row | said.get(tuple(row[name] for name in GROUP_COLUMNS), {}) for row in rows]
    return pd.DataFrame(rows, columns=columns)


def _claimed(claims: Claims | None) -> dict[tuple[Any, ...], Row]:
    """What is claimed of each row of the table."""
    found: dict[tuple[Any, ...], Row] = {}
    for claim in claims.against_dense if claims else ():
        found[claim.row] = {
            "delta_low": claim.low,
            "delta_high": claim.high,
            "loses_at_most": claim.bound,
            "allowed_loss": claim.allowed,
            "against_dense": claim.verdict,
        }
    for claim in claims.against_reference if claims else ():
        found.setdefault(claim.row, {})["against_reference"] = claim.verdict
    return found


def _main_metrics(task: Task, metrics: list[str]) -> dict[str, str | None]:
    return {name: main_metric(metrics, name) for name in (*task.leaders, *task.beside)}


def _values(rows: list[Row]) -> dict[str, float]:
    return {row["metric"]: row["mean"] for row in rows}


def _row(rows: list[Row], dense: dict[str, float], speed: Row, task: Task, names: dict[str, str | None]) -> Row:
    first = rows[0]
    metrics = {row["metric"]: row for row in rows}
    value = _values(rows)
    judge = judge_by(task, [name for name in names.values() if name])
    lead: Row = metrics.get(judge.metric, {}) if judge else {}
    shared = {name: first[name] for name in [*GROUP_COLUMNS, "granularity", "requested", "achieved_params", "task"]}
    copied = {name: first[name] for name in ["achieved_macs", "seeds", "varies", "physical", "status", "reason"]}
    counts = {name: value.get(name, math.nan) for name in ["params", "params_nonzero", "macs_dense", "macs_effective"]}
    ratios = {
        "params_ratio": _ratio(dense.get("params"), counts["params"]),
        "params_nonzero_ratio": _ratio(dense.get("params_nonzero"), counts["params_nonzero"]),
        "macs_dense_ratio": _ratio(dense.get("macs_dense"), counts["macs_dense"]),
        "speedup_theoretical": _ratio(dense.get("macs_dense"), counts["macs_effective"]),
    }
    quality: Row = {}
    for name in (*task.leaders, *task.beside):
        quality |= _judged(name, names[name], metrics, _OF_A_LEADER if name in task.leaders else _OF_OTHERS)
    collapsed = next((row["collapsed"] for row in rows if row["collapsed"]), "")
    counted = {"n": lead.get("n", first["n"]), "finite_n": lead.get("finite_n", first["finite_n"])}
    return shared | copied | counts | ratios | quality | counted | {"collapsed": collapsed} | speed


def _judged(name: str, metric: str | None, metrics: dict[str, Row], parts: Sequence[str]) -> Row:
    """The columns of one quantity."""
    row: Row = metrics.get(metric or "", {})
    return {f"{name}_metric": metric or ""} | {f"{name}_{part}": row.get(part, math.nan) for part in parts[1:]}


def _ratio(dense: float | None, pruned: float) -> float:
    return math.nan if dense is None or not pruned or math.isnan(pruned) else dense / pruned


def _speedups(frame: pd.DataFrame, latency: pd.DataFrame) -> dict[tuple[Any, ...], Row]:
    """For each group, the measured speed-ups on the main setting; one entry for each distinct
    architecture.
    """
    setting = main_setting(latency)
    if setting is None:
        return {}
    chosen = latency[(latency[SETTING] == pd.Series(setting)).all(axis=1)]
    cells = frame[[*GROUP_COLUMNS, "architecture", "zeros"]].drop_duplicates()
    joined = with_latency(cells[cells["architecture"] != ""], chosen)
    found: dict[tuple[Any, ...], Row] = {}
    for key, group in joined.groupby(GROUP_COLUMNS, sort=False):
        row: Row = {"latency_setting": _describe(setting)}
        row["latency_status"] = "; ".join(sorted(set(group["latency_status"].dropna())))
        for batch in SHOWN_BATCHES:
            timed = group[group["batch"] == batch]
            row[f"latency_b{batch}_ms"] = float(timed["pruned_ms"].mean())
            row[f"speedup_b{batch}"] = float(timed["speedup"].mean())
            row[f"speedup_b{batch}_low"] = float(timed["speedup_low"].min())
            row[f"speedup_b{batch}_high"] = float(timed["speedup_high"].max())
        found[tuple(key)] = row
    return found


def _describe(setting: dict[str, Any]) -> str:
    threads = f"{setting['threads']} thread{'' if setting['threads'] == 1 else 's'}"
    device = f"{setting['device']} ({setting['device_model']})"
    return ", ".join([device, str(setting["backend"]), str(setting["dtype"]), threads])
