"""The table that people read: one row for each (workload, strategy, level, recovery)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.latency import SETTING, main_setting, with_latency
from bench.tables.lead import LEADERS, lead_metric
from bench.tables.naming import DENSE, main_metric
from bench.tables.tidy import rows_of

SUMMARY_COLUMNS = [
    *GROUP_COLUMNS, "granularity", "requested", "achieved_params", "achieved_macs",
    "params", "params_ratio", "params_nonzero", "params_nonzero_ratio",
    "macs_dense", "macs_dense_ratio", "macs_effective", "speedup_theoretical",
    "fid_metric", "fid_num_images", "fid_mean", "fid_ci95", "fid_delta_mean", "fid_delta_ci95",
    "kid_metric", "kid_num_images", "kid_mean", "kid_ci95", "kid_delta_mean", "kid_delta_ci95",
    "is_metric", "is_mean", "is_ci95",
    "latency_b1_ms", "latency_b16_ms",
    "speedup_b1", "speedup_b1_low", "speedup_b1_high", "speedup_b16", "speedup_b16_low", "speedup_b16_high",
    "latency_setting", "latency_status",
    "n", "seeds", "varies", "collapsed", "physical", "status", "reason",
]  # fmt: skip
SHOWN_BATCHES = (1, 16)

Row = dict[str, Any]


def summarise(frame: pd.DataFrame, aggregated: pd.DataFrame, latency: pd.DataFrame) -> pd.DataFrame:
    """Numbers of the main table, from the `tidy`, the `aggregate`d and the `latency_table` table.

    ``params*`` are counts (means over seeds), ``macs_*`` multiply-accumulates for one image: ``macs_dense``
    what dense kernels execute, ``macs_effective`` without zeros. ``*_ratio`` are dense / pruned (above 1:
    smaller); ``speedup_theoretical`` is that of the effective MACs, ``speedup_b1`` and ``speedup_b16`` are
    measured on the setting named in ``latency_setting`` (``latency_*_ms``: milliseconds a call; low and high:
    the widest over the architectures of the seeds). ``fid_delta_*`` and ``kid_delta_*`` are the paired differences to
    dense of the same recovery; ``n`` is that of FID, where it was not measured that of KID. NaN where there is no
    number: ``status`` and ``reason`` say why.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows_of(aggregated):
        groups.setdefault(tuple(row[name] for name in GROUP_COLUMNS), []).append(row)
    speed = _speedups(frame, latency)
    leaders = _leaders(aggregated)
    dense = {(key[0], key[1]): _values(rows) for key, rows in groups.items() if key[2] == DENSE}
    rows = [
        _row(members, dense.get((key[0], key[1]), {}), speed.get(key, {}), leaders[key[0]])
        for key, members in groups.items()
    ]
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _leaders(aggregated: pd.DataFrame) -> dict[str, dict[str, str | None]]:
    return {
        str(workload): {family: main_metric(group["metric"].tolist(), family) for family in (*LEADERS, "is")}
        for workload, group in aggregated.groupby("workload", sort=False)
    }


def _values(rows: list[Row]) -> dict[str, float]:
    return {row["metric"]: row["mean"] for row in rows}


def _row(rows: list[Row], dense: dict[str, float], speed: Row, leaders: dict[str, str | None]) -> Row:
    first = rows[0]
    metrics = {row["metric"]: row for row in rows}
    value = _values(rows)
    lead: Row = metrics.get(lead_metric(name for name in leaders.values() if name) or "", {})
    inception: Row = metrics.get(leaders["is"] or "", {})
    shared = {name: first[name] for name in [*GROUP_COLUMNS, "granularity", "requested", "achieved_params"]}
    copied = {name: first[name] for name in ["achieved_macs", "seeds", "varies", "physical", "status", "reason"]}
    counts = {name: value.get(name, math.nan) for name in ["params", "params_nonzero", "macs_dense", "macs_effective"]}
    ratios = {
        "params_ratio": _ratio(dense.get("params"), counts["params"]),
        "params_nonzero_ratio": _ratio(dense.get("params_nonzero"), counts["params_nonzero"]),
        "macs_dense_ratio": _ratio(dense.get("macs_dense"), counts["macs_dense"]),
        "speedup_theoretical": _ratio(dense.get("macs_dense"), counts["macs_effective"]),
    }
    return (
        shared
        | copied
        | counts
        | ratios
        | _judged("fid", leaders["fid"], metrics)
        | _judged("kid", leaders["kid"], metrics)
        | {
            "is_metric": leaders["is"] or "",
            "is_mean": inception.get("mean", math.nan),
            "is_ci95": inception.get("ci95", math.nan),
            "n": lead.get("n", first["n"]),
            "collapsed": next((row["collapsed"] for row in rows if row["collapsed"]), ""),
        }
        | speed
    )


def _judged(family: str, metric: str | None, metrics: dict[str, Row]) -> Row:
    """The columns of one of the `LEADERS`."""
    row: Row = metrics.get(metric or "", {})
    names = ("num_images", "mean", "ci95", "delta_mean", "delta_ci95")
    return {f"{family}_metric": metric or ""} | {f"{family}_{name}": row.get(name, math.nan) for name in names}


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
