"""Latency beside quality: one measurement for each architecture, joined to every cell that has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.records import LatencyRecord
from bench.tables.tidy import rows_of

JOIN = ["workload", "checkpoint", "architecture"]
SETTING = ["device", "device_model", "backend", "dtype", "threads", "flush_denormal"]
"""What has to be equal for two latencies to stand in one column (and the batch)."""

_MEASURED = [
    "dense_ms", "pruned_ms", "dense_ms_min", "pruned_ms_min", "dense_ms_p95", "pruned_ms_p95",
    "speedup", "speedup_low", "speedup_high", "speedup_cpu",
]  # fmt: skip
LATENCY_COLUMNS = [
    *JOIN, "dense_architecture", *SETTING, "batch", *_MEASURED, "pairs", "blocks", "calls_per_block",
    "peak_memory_bytes", "latency_status", "latency_reason", "latency_key",
]  # fmt: skip

_FLOATS = dict.fromkeys([*_MEASURED, "peak_memory_bytes"], "float64")


def latency_table(records: Sequence[LatencyRecord]) -> pd.DataFrame:
    """One row for each latency record.

    ``*_ms`` are milliseconds a call; ``speedup`` is dense / pruned wall time (median over uninterrupted pairs
    of blocks) with its 95 % interval within the one process that measured it; ``pairs`` of ``blocks`` were
    uninterrupted; ``latency_status`` is ``ok`` or ``invalid`` (all numbers are NaN then).
    """
    rows = []
    for record in records:
        row = record.model_dump(exclude={"samples", "provenance", "schema_version", "status", "reason"})
        row |= {
            "pairs": sum(not sample.interrupted for sample in record.samples),
            "blocks": len(record.samples),
            "latency_status": record.status,
            "latency_reason": record.reason,
        }
        if record.status == "invalid":
            row |= dict.fromkeys(_MEASURED, math.nan)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=LATENCY_COLUMNS)
    return frame.astype(_FLOATS)


def main_setting(latency: pd.DataFrame) -> dict[str, Any] | None:
    """The setting that the main table shows: the CPU before others, eager before other backends, float32, 1
    thread.
    """
    settings = rows_of(latency[SETTING].drop_duplicates())
    if not settings:
        return None

    def preference(setting: dict[str, Any]) -> tuple[object, ...]:
        return (
            not str(setting["device"]).startswith("cpu"),
            setting["backend"] != "eager",
            "float32" not in str(setting["dtype"]),
            setting["threads"],
            str(sorted(setting.items())),
        )

    return min(settings, key=preference)


def with_latency(cells: pd.DataFrame, latency: pd.DataFrame) -> pd.DataFrame:
    """``cells`` (any table with workload, checkpoint, architecture) with one row for each latency that fits.

    A cell that runs the dense architecture (dense itself, masks) and has no measurement of its own gets what
    dense took, a speed-up of exactly 1 and the ``latency_status`` ``same-as-dense``: it is the same network.
    A cell without any latency keeps one row with NaN.
    """
    parts = [part for part in (latency, _dense_rows(latency)) if not part.empty]
    known = pd.concat([part.astype(_FLOATS) for part in parts], ignore_index=True) if parts else latency
    return cells.merge(known, how="left", on=JOIN)


def _dense_rows(latency: pd.DataFrame) -> pd.DataFrame:
    """What dense itself took in each setting: the median over the records that timed it against something."""
    usable = latency[latency["latency_status"] == "ok"]
    measured = {tuple(row) for row in usable[[*JOIN, *SETTING, "batch"]].itertuples(index=False)}
    rows = []
    keys = ["workload", "checkpoint", "dense_architecture", *SETTING, "batch"]
    for key, group in usable.groupby(keys, sort=False):
        row = dict(zip([*JOIN, *SETTING, "batch"], key, strict=True))
        if tuple(row.values()) in measured:
            continue
        for kind in ("ms", "ms_min", "ms_p95"):
            row[f"dense_{kind}"] = row[f"pruned_{kind}"] = float(group[f"dense_{kind}"].median())
        row |= dict.fromkeys(["speedup", "speedup_low", "speedup_high", "speedup_cpu"], 1.0)
        row |= {"dense_architecture": row["architecture"], "latency_status": "same-as-dense"}
        row |= {"latency_reason": "runs the dense network: not timed again", "latency_key": ""}
        row |= dict.fromkeys(["pairs", "blocks", "calls_per_block"], 0)
        rows.append(row)
    return pd.DataFrame(rows, columns=LATENCY_COLUMNS)
