"""Theoretical and realised speed-up of every strategy on every backend that was measured."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bench.tables.latency import SAME, SETTING, verdict, with_latency
from bench.tables.naming import DENSE, strategy_order
from bench.tables.tidy import rows_of

ORDER = (
    "eager", "channels_last", "bf16", "bf16-weights", "compile", "onnx", "int8-onnx", "openvino", "int8-openvino",
    "csr", "nm-2-4", "tf32", "cuda-graph",
)  # fmt: skip
"""Of columns and colours; others follow by name."""
NETWORKS = ["workload", "checkpoint", "strategy", "target", "level"]
"""What the timings of one row have in common; they do not depend on the recovery."""
BACKEND_COLUMNS = [
    *NETWORKS, "batch", *SETTING, "dense_backend", "speedup_theoretical", "speedup", "speedup_low", "speedup_high",
    "verdict", "dense_ms", "pruned_ms", "prepare_dense_seconds", "prepare_pruned_seconds", "output_error", "status",
    "reason",
]  # fmt: skip
_MEANS = ("speedup", "dense_ms", "pruned_ms", "prepare_dense_seconds", "prepare_pruned_seconds")


def by_backend(frame: pd.DataFrame, summary: pd.DataFrame, latency: pd.DataFrame) -> pd.DataFrame:
    """One row for each pruned network, batch size and setting (device, backend, type, ...).

    ``speedup_theoretical`` is dense MACs / effective MACs; ``speedup`` is measured, the mean over the architectures of
    the seeds, low and high the widest of their intervals, ``verdict`` that of `bench.tables.latency.verdict`;
    ``status`` is ``ok``, ``same-as-dense``, or why there is no number (``reason``). Takes the `tidy`, the `summarise`d
    and the `latency_table` table.
    """
    cells = frame.loc[(frame["architecture"] != "") & (frame["strategy"] != DENSE)]
    cells = cells[[*NETWORKS, "architecture", "zeros"]].drop_duplicates()
    theory = summary.groupby(NETWORKS, sort=False)["speedup_theoretical"].mean() if len(summary) else pd.Series()
    rows: list[dict[str, Any]] = []
    for _, timed in latency.groupby(SETTING, sort=False, dropna=False):
        joined = with_latency(cells, timed)
        for key, group in joined[joined["batch"].notna()].groupby([*NETWORKS, "batch"], sort=False):
            rows.append(dict(zip([*NETWORKS, "batch"], key, strict=True)) | _row(group, float(theory.get(key[:5], 0))))
    rows.sort(key=lambda r: (r["workload"], strategy_order(r["strategy"]), r["level"], r["batch"], place(r["backend"])))
    return pd.DataFrame(rows, columns=BACKEND_COLUMNS)


def place(backend: str) -> tuple[int, str]:
    """Sort key of a backend."""
    return (ORDER.index(backend) if backend in ORDER else len(ORDER), backend)


def _row(group: pd.DataFrame, theoretical: float) -> dict[str, Any]:
    first = rows_of(group)[0]
    ok = group[group["latency_status"].isin(["ok", SAME])]
    speedup = (float(ok["speedup"].mean()), float(ok["speedup_low"].min()), float(ok["speedup_high"].max()))
    return (
        {name: first[name] for name in SETTING}
        | {name: float(ok[name].mean()) for name in _MEANS}
        | {
            "dense_backend": first["dense_backend"] or first["backend"],
            "speedup_theoretical": theoretical or math.nan,
            "speedup_low": speedup[1],
            "speedup_high": speedup[2],
            "verdict": verdict(*speedup, float(ok["noise"].max())),
            "output_error": float(group["output_error"].max()),
            "status": "; ".join(sorted(set(group["latency_status"]))),
            "reason": "; ".join(sorted({text for text in group["latency_reason"] if text})),
        }
    )
