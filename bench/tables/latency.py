"""Latency beside quality: one measurement for each architecture, joined to every cell that has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.records import LatencyRecord
from bench.tables.tidy import rows_of

JOIN = ["workload", "checkpoint", "architecture"]
SKIP_ZEROS = ("csr", "nm-2-4")
"""Backends whose time depends on the zeros; all others multiply by zeros like by any other number."""
SETTING = ["device", "device_model", "backend", "dtype", "threads", "flush_denormal"]
"""What has to be equal for two latencies to stand in one column (and the batch)."""

_MEASURED = [
    "dense_ms", "pruned_ms", "dense_ms_min", "pruned_ms_min", "dense_ms_p95", "pruned_ms_p95",
    "speedup", "speedup_low", "speedup_high", "speedup_cpu",
]  # fmt: skip
_PREPARED = ["prepare_dense_seconds", "prepare_pruned_seconds", "output_error", "output_tolerance"]
LATENCY_COLUMNS = [
    *JOIN, "dense_architecture", *SETTING, "batch", *_MEASURED, "pairs", "blocks", "calls_per_block",
    "peak_memory_bytes", *_PREPARED, "dense_backend", "zeros", "latency_status", "latency_reason", "latency_key",
]  # fmt: skip

SAME = "same-as-dense"
"""The ``latency_status`` of a network that has the dense architecture: it is not faster or slower than itself."""
_FLOATS = dict.fromkeys([*_MEASURED, "peak_memory_bytes", *_PREPARED], "float64")


def latency_table(records: Sequence[LatencyRecord]) -> pd.DataFrame:
    """One row for each latency record.

    ``*_ms`` are milliseconds a call; ``speedup`` is dense / pruned wall time (median over uninterrupted pairs
    of blocks) with its 95 % interval within the one process that measured it; ``pairs`` of ``blocks`` were
    uninterrupted; ``prepare_*_seconds`` is what exporting and compiling took; where ``latency_status`` is not ``ok``
    nothing was timed, or not undisturbed, and all times are NaN.
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
        if record.status != "ok":
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

    Latencies of backends that skip zeros fit by the cells' column ``zeros``, where there is one.

    A cell that runs the dense architecture on dense kernels (dense itself, masks) gets what dense took, a speed-up of
    exactly 1 and the ``latency_status`` ``same-as-dense``: it is the same network. Where dense was timed against
    itself, that ratio is the noise of the timing (`timing_noise`); it stays in ``latency``, but is no speed-up.
    A cell without any latency keeps one row with NaN.
    """
    others = latency[~_of_itself(latency)]
    parts = [part for part in (others, _dense_rows(latency)) if not part.empty]
    known = pd.concat([part.astype(_FLOATS) for part in parts], ignore_index=True) if parts else latency
    skips = known["backend"].isin(SKIP_ZEROS)
    if "zeros" not in cells or not skips.any():
        return cells.merge(known.drop(columns="zeros"), how="left", on=JOIN)
    numbered = cells.reset_index(drop=True).reset_index(names="_cell")
    found = [
        numbered.merge(known[~skips].drop(columns="zeros"), on=JOIN),
        numbered.merge(known[skips], on=[*JOIN, "zeros"]),
    ]
    left = numbered[~numbered["_cell"].isin([cell for part in found for cell in part["_cell"]])]
    joined = pd.concat([part for part in (*found, left) if not part.empty], ignore_index=True)
    return joined.sort_values("_cell", kind="stable", ignore_index=True).drop(columns="_cell")


def _of_itself(latency: pd.DataFrame) -> pd.Series:
    """Where both sides of a pair are the same network on the same kernels. Kernels that skip zeros may gain from
    them, so there the architecture does not say it all.
    """
    return (latency["architecture"] == latency["dense_architecture"]) & ~latency["backend"].isin(SKIP_ZEROS)


def timing_noise(latency: pd.DataFrame) -> str:
    """How far a measured speed-up of 1 is from 1, in words; empty without a usable timing on the main setting.

    Where dense was timed against itself, by how much that missed 1 at most; else half of the median width of the
    intervals, as a share of the speed-up.
    """
    setting = main_setting(latency)
    if setting is None:
        return ""
    rows = latency[(latency[SETTING] == pd.Series(setting)).all(axis=1) & (latency["latency_status"] == "ok")]
    itself = rows[_of_itself(rows)]
    if not itself.empty:
        missed = float((itself[["speedup", "speedup_low", "speedup_high"]] - 1).abs().max().max())
        return f"dense timed against itself is within {100 * missed:.1f} % of 1"
    widths = ((rows["speedup_high"] - rows["speedup_low"]) / rows["speedup"] / 2).dropna()
    return f"the median interval of a timing is ± {100 * float(widths.median()):.1f} %" if len(widths) else ""


def _dense_rows(latency: pd.DataFrame) -> pd.DataFrame:
    """What dense itself took in each setting: the median over the records that timed it against something."""
    usable = latency[latency["latency_status"] == "ok"]
    others = usable[~_of_itself(usable) & ~usable["backend"].isin(SKIP_ZEROS)]
    measured = {tuple(row) for row in others[[*JOIN, *SETTING, "batch"]].itertuples(index=False)}
    rows = []
    keys = ["workload", "checkpoint", "dense_architecture", *SETTING, "batch"]
    for key, group in usable.groupby(keys, sort=False):
        row = dict(zip([*JOIN, *SETTING, "batch"], key, strict=True))
        if tuple(row.values()) in measured:
            continue
        for kind in ("ms", "ms_min", "ms_p95"):
            row[f"dense_{kind}"] = row[f"pruned_{kind}"] = float(group[f"dense_{kind}"].median())
        row |= dict.fromkeys(["speedup", "speedup_low", "speedup_high", "speedup_cpu"], 1.0)
        row |= {"dense_architecture": row["architecture"], "latency_status": SAME}
        row |= {
            "latency_reason": "runs the dense network: not timed again",
            "latency_key": "",
            "zeros": "",
            "dense_backend": "",
        }
        row |= dict.fromkeys(["pairs", "blocks", "calls_per_block"], 0)
        rows.append(row)
    return pd.DataFrame(rows, columns=LATENCY_COLUMNS)
