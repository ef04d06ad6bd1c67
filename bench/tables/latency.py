"""Latency beside quality: one measurement for each architecture, joined to every cell that has it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.records import LatencyRecord
from bench.records.finishes import TIMED_AS
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
    *JOIN, "dense_architecture", *SETTING, "batch", *_MEASURED, "noise", "verdict", "builds", "pairs", "blocks",
    "calls_per_block",
    "peak_memory_bytes", *_PREPARED, "dense_backend", "zeros", "latency_status", "latency_reason", "latency_key",
]  # fmt: skip

SAME = "same-as-dense"
"""The ``latency_status`` of a network that has the dense architecture: it is not faster or slower than itself."""
_FLOATS = dict.fromkeys([*_MEASURED, "noise", "peak_memory_bytes", *_PREPARED], "float64")
_PLACE = ["workload", "checkpoint", *SETTING, "batch"]
"""What dense against itself has in common with the speed-ups whose noise it is."""

ROUNDING = 1e-12
NOT_SEPARABLE = "not separable from 1"
"""The verdict over a speed-up that is none, as every format says it."""


def verdict(speedup: float, low: float, high: float, noise: float = math.nan) -> str:
    """``faster``, ``slower`` or `NOT_SEPARABLE`; empty without a speed-up, and for exactly 1, which is not measured.

    A speed-up is one where its interval leaves 1 out *and* it is farther from 1 than equal networks are seen to be:
    the interval is of one process, and what differs from process to process is not in it.

    Args:
        noise: the farthest factor from 1 that dense against itself reaches in the same setting; NaN: not known.
    """
    if math.isnan(speedup) or speedup == low == high == 1:
        return ""
    within = not math.isnan(noise) and abs(math.log(speedup)) <= math.log(noise) + ROUNDING
    if within or (not math.isnan(low) and not math.isnan(high) and low <= 1 <= high):
        return NOT_SEPARABLE
    return "faster" if speedup > 1 else "slower"


def latest(records: Iterable[LatencyRecord]) -> list[LatencyRecord]:
    """Of several timings of one pair in one setting, as earlier versions of the code leave them, the one with the most
    builds; two ways of timing never stand side by side.
    """
    found: dict[tuple[object, ...], LatencyRecord] = {}
    for record in records:
        place = tuple(getattr(record, name) for name in (*JOIN, "dense_architecture", *SETTING, "batch", "zeros"))
        known = found.get(place)
        if known is None or _builds(record) > _builds(known):
            found[place] = record
    return list(found.values())


def _builds(record: LatencyRecord) -> int:
    return len({sample.build for sample in record.samples})


def latency_table(records: Sequence[LatencyRecord]) -> pd.DataFrame:
    """One row for each latency record.

    ``*_ms`` are milliseconds a call; ``speedup`` is dense / pruned wall time (the mean over ``builds`` of both) with
    its 95 % interval within the one process that measured it; ``noise`` is the farthest factor from 1 that the interval
    of dense against itself reaches, of the same training, setting and batch, and ``verdict`` what that leaves of the
    speed-up; ``pairs`` of ``blocks`` were uninterrupted; ``prepare_*_seconds`` is what exporting and compiling took;
    where ``latency_status`` is not ``ok`` nothing was timed, or not undisturbed, and all times are NaN.
    """
    rows = []
    for record in records:
        row = record.model_dump(exclude={"samples", "provenance", "schema_version", "status", "reason"})
        row |= {
            "noise": math.nan,
            "verdict": "",
            "builds": _builds(record),
            "pairs": sum(not sample.interrupted for sample in record.samples),
            "blocks": len(record.samples),
            "latency_status": record.status,
            "latency_reason": record.reason,
        }
        if record.status != "ok":
            row |= dict.fromkeys(_MEASURED, math.nan)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=LATENCY_COLUMNS).astype(_FLOATS)
    return _judged(frame)


def _judged(latency: pd.DataFrame) -> pd.DataFrame:
    """With the noise of each row's setting, and the verdict that follows."""
    itself = latency[_of_itself(latency)]
    reached = itself[["speedup", "speedup_low", "speedup_high"]].map(_distance).max(axis=1)
    noise = reached.groupby([itself[name] for name in _PLACE], dropna=False).max().to_dict()
    found = [noise.get(place, math.nan) for place in latency[_PLACE].itertuples(index=False, name=None)]
    judged = latency.assign(noise=pd.Series(found, index=latency.index, dtype="float64"))
    asked = judged[["speedup", "speedup_low", "speedup_high", "noise"]].itertuples(index=False, name=None)
    verdicts = [verdict(*row) for row in asked]
    said = pd.Series(verdicts, index=latency.index, dtype="object")
    return judged.assign(verdict=said.where(~_of_itself(latency), ""))


def _distance(ratio: float) -> float:
    """A ratio or its inverse, whichever is above 1."""
    return ratio if math.isnan(ratio) else max(ratio, 1 / ratio)


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

    Where dense was timed against itself, how far the intervals of that reach; else half of the median width of the
    intervals, as a share of the speed-up.
    """
    rows = _of_main_setting(latency)
    if noise := own_noise(latency):
        return noise
    widths = ((rows["speedup_high"] - rows["speedup_low"]) / rows["speedup"] / 2).dropna()
    return f"the median interval of a timing is ± {100 * float(widths.median()):.1f} %" if len(widths) else ""


def own_noise(latency: pd.DataFrame) -> str:
    """How far dense against itself is from 1 on the main setting, in words: what the intervals of that reach. Empty
    where it was not timed.
    """
    rows = _of_main_setting(latency)
    itself = rows[_of_itself(rows)]
    if itself.empty:
        return ""
    noise = float(itself["noise"].max())
    return f"dense against itself: within {1 / noise:.2f} to {noise:.2f}x, the timing's own noise"


def _of_main_setting(latency: pd.DataFrame) -> pd.DataFrame:
    """The usable timings on it."""
    setting = main_setting(latency)
    if setting is None:
        return latency.iloc[:0]
    return latency[(latency[SETTING] == pd.Series(setting)).all(axis=1) & (latency["latency_status"] == "ok")]


def _dense_rows(latency: pd.DataFrame) -> pd.DataFrame:
    """What dense itself took in each setting: the median over the records that timed it against something."""
    usable = latency[latency["latency_status"] == "ok"]
    usable = usable[~usable["backend"].isin(TIMED_AS.values())]  # dense in float32 beside what is not
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
        row |= {"noise": math.nan, "verdict": ""} | dict.fromkeys(["builds", "pairs", "blocks", "calls_per_block"], 0)
        rows.append(row)
    return pd.DataFrame(rows, columns=LATENCY_COLUMNS)
