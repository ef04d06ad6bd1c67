"""What to deploy: every network as it would be shipped, its quality, its bytes and its milliseconds side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.records.finishes import NO_FINISH, finish_in, without_finish
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.backends import place
from bench.tables.latency import SAME, SKIP_ZEROS, verdict, with_latency
from bench.tables.naming import DENSE
from bench.tables.tidy import rows_of

FILE = "bytes_file"
TENSORS = "bytes"
DEPLOY_COLUMNS = [
    *GROUP_COLUMNS, "finish", "bytes", "backend", "device", "batch", "ms", "ms_low", "ms_high", "dense_ms", "speedup",
    "speedup_low", "speedup_high", "verdict", "eager_ms", "against_eager", "within",
]  # fmt: skip
Row = dict[str, Any]


def deploy_table(frame: pd.DataFrame, summary: pd.DataFrame, latency: pd.DataFrame) -> pd.DataFrame:
    """One row for each row of the main table, way of running it (backend, device) and batch size; empty where no
    network of the run has a finish.

    ``recovery`` is without the finish, which has a column. ``bytes`` are those of the files that are shipped, without a
    finish of all tensors in float32. ``ms`` is a call, the mean over the architectures of the seeds; ``speedup`` is
    dense in float32 on the same runtime, ``dense_ms``, over it, with the widest of the intervals; ``ms_low`` and
    ``ms_high`` are ``dense_ms`` over its ends. ``against_eager`` is ``eager_ms``, what dense takes in eager PyTorch,
    over ``ms``: of medians of different pairs, so without an interval; NaN where eager was not timed. ``within``: the
    network is shown to lose no more than the margin against dense of the same recovery, or is that.

    Takes the `tidy`, the `summarise`d and the `latency_table` table.
    """
    if frame.empty or all(finish_in(after) == NO_FINISH for after in frame["recovery"].unique()):
        return pd.DataFrame(columns=DEPLOY_COLUMNS)
    said = {tuple(row[name] for name in GROUP_COLUMNS): row for row in rows_of(summary)}
    sizes = _sizes(frame)
    cells = frame.loc[frame["architecture"] != "", [*GROUP_COLUMNS, "architecture", "zeros"]].drop_duplicates()
    joined = with_latency(cells, latency[~latency["backend"].isin(SKIP_ZEROS)])
    timed = joined[joined["latency_status"].isin(["ok", SAME])]
    rows = []
    for key, group in timed.groupby([*GROUP_COLUMNS, "backend", "device", "batch"], sort=False):
        place_of = key[: len(GROUP_COLUMNS)]
        rows.append(_row(place_of, key[len(GROUP_COLUMNS) :], group, sizes.get(place_of, math.nan), said[place_of]))
    eager = {
        (row["workload"], row["checkpoint"], row["device"], row["batch"]): row["ms"]
        for row in rows
        if row["strategy"] == DENSE and row["finish"] == NO_FINISH and row["backend"] == "eager"
    }
    for row in rows:
        row["eager_ms"] = eager.get((row["workload"], row["checkpoint"], row["device"], row["batch"]), math.nan)
        row["against_eager"] = row["eager_ms"] / row["ms"]
    rows.sort(key=lambda row: (row["workload"], row["checkpoint"], row["batch"], place(row["backend"])))
    return pd.DataFrame(rows, columns=DEPLOY_COLUMNS)


def quickest(table: pd.DataFrame) -> pd.DataFrame:
    """Of each workload, checkpoint, backend, device and batch the row with the fewest milliseconds among those whose
    quality is shown to be within the margin; dense, which is what is compared with, among them.
    """
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows_of(table[table["within"].astype(bool)]):
        key = tuple(row[name] for name in ("workload", "checkpoint", "batch", "backend", "device"))
        if key not in found or row["ms"] < found[key]["ms"]:
            found[key] = row
    return pd.DataFrame(list(found.values()), columns=DEPLOY_COLUMNS)


def _row(place_of: Sequence[Any], way: Sequence[Any], group: pd.DataFrame, size: float, said: Mapping[str, Any]) -> Row:
    row: Row = dict(zip(GROUP_COLUMNS, place_of, strict=True))
    after = str(row["recovery"])
    itself = row["strategy"] == DENSE and finish_in(after) == NO_FINISH
    ms, dense = float(group["pruned_ms"].mean()), float(group["dense_ms"].mean())
    low, high = float(group["speedup_low"].min()), float(group["speedup_high"].max())
    speedup = float(group["speedup"].mean())
    return row | {
        "recovery": without_finish(after),
        "finish": finish_in(after),
        "bytes": size,
        "backend": way[0],
        "device": way[1],
        "batch": int(way[2]),
        "ms": ms,
        "ms_low": ms * speedup / high,
        "ms_high": ms * speedup / low,
        "dense_ms": dense,
        "speedup": speedup,
        "speedup_low": low,
        "speedup_high": high,
        "verdict": verdict(speedup, low, high, float(group["noise"].max())),
        "within": itself or said["against_dense"] in ("holds", "identical"),
    }


def _sizes(frame: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Bytes of each row of the main table, the mean over its seeds."""
    found: dict[tuple[Any, ...], float] = {}
    for metric in (TENSORS, FILE):  # the file's, where there is one
        rows = frame[frame["metric"] == metric]
        for key, group in rows.groupby(GROUP_COLUMNS, sort=False):
            found[tuple(key)] = float(group["value"].mean())
    return found
