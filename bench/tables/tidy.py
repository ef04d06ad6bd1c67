"""Records as tables: one row a number (`tidy`) or one row a cell (`wide`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.base.errors import UserError
from bench.records import Cost, Record
from bench.records.zeros import zeros_of
from bench.tables.naming import granularity_of
from bench.tasks import known_quantity

CELL_COLUMNS = [
    "workload", "checkpoint", "strategy", "granularity", "target", "level", "requested", "achieved_params",
    "achieved_macs", "recovery", "seed", "status", "reason", "varies", "physical", "architecture", "zeros",
]  # fmt: skip
NUMBER_COLUMNS = ["metric", "value", "error", "unit", "direction", "kind", "version", "num_images"]
KEY_COLUMNS = ["eval_key", "dense_key"]
TIDY_COLUMNS = [*CELL_COLUMNS, *NUMBER_COLUMNS, *KEY_COLUMNS, "task"]

_NUMERIC = {"requested", "achieved_params", "achieved_macs", "value", "error", "num_images"}


def tidy(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each number of each cell.

    Columns: ``workload, checkpoint, strategy, granularity, target, level`` (label), ``requested`` (sparsity, NaN for a
    strategy with its own knob), ``achieved_params, achieved_macs`` (fractions removed), ``recovery`` (and finish, as in
    ``finetune-200+int8-onnx``)``, seed, status,
    reason, varies, physical, architecture`` (hash), ``zeros`` (hash of the density of masked layers), ``metric, value``
    (NaN: could not be computed), ``unit, direction, kind, version, num_images`` (NaN where it does not apply),
    ``eval_key, dense_key, task`` (what the workload is for). A cell without numbers (not applicable, infeasible) is one
    row with an empty ``metric``.

    Raises:
        UserError: one metric of one checkpoint of a workload comes in several versions or image counts.
    """
    rows = [row for record in records for row in _number_rows(record)]
    frame = _frame(rows, TIDY_COLUMNS)
    refuse_mixed_versions(frame)
    return frame


def wide(records: Sequence[Record]) -> pd.DataFrame:
    """`cells_of` records that may stand in one table.

    Raises:
        UserError: as `tidy`.
    """
    tidy(records)
    return cells_of(records)


def cells_of(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each cell: its description, one column for each metric (its value), its cost, and the keys.

    The cost on the machine that made it: ``prune_seconds, recover_seconds, measure_seconds, train_steps,
    train_images, training_macs, peak_memory_bytes``.

    It is not looked whether these numbers may stand in one column, as `tidy` and `wide` do.
    """
    metrics = list(dict.fromkeys(name for record in records for name in record.numbers))
    rows = []
    for record in records:
        values = {name: _float(number.value) for name, number in record.numbers.items()}
        rows.append(_cell(record) | values | record.cost.model_dump() | _keys(record))
    return _frame(rows, [*CELL_COLUMNS, *metrics, *Cost.model_fields, *KEY_COLUMNS], numeric=_NUMERIC | set(metrics))


def refuse_mixed_versions(frame: pd.DataFrame) -> None:
    """Raise where numbers that must not stand side by side would: those of one checkpoint of one workload. (Two
    checkpoints never share a table; each may be judged by samples of its own dense generator.)

    Raises:
        UserError: names the workload, the metric, and for each version (or ``num_images``) one of its cells.
    """
    seen: dict[tuple[str, str, str], dict[tuple[str, str], list[str]]] = {}
    kinds_of = frame[["workload", "checkpoint", "metric", "version", "num_images"]].drop_duplicates()
    if not kinds_of.loc[kinds_of["metric"] != "", ["workload", "checkpoint", "metric"]].duplicated().any():
        return
    for row in rows_of(frame[frame["metric"] != ""]):
        count = "" if pd.isna(row["num_images"]) or any_number(row["metric"]) else f", {int(row['num_images'])} images"
        kinds = seen.setdefault((row["workload"], row["checkpoint"], row["metric"]), {})
        cell = f"{row['strategy']} @{row['level']} {row['recovery']} seed {row['seed']}"
        kinds.setdefault((str(row["version"]), count), []).append(cell)
    mixed = [
        f"{workload}, {metric}: " + "; ".join(_kind(version, count, cells) for (version, count), cells in kinds.items())
        for (workload, _, metric), kinds in seen.items()
        if len(kinds) > 1
    ]
    if mixed:
        advice = "Numbers of different versions are never put side by side; run the older cells again."
        raise UserError("\n".join([*mixed, advice]))


def any_number(metric: str) -> bool:
    """Whether the numbers of a metric compare whatever N they are of."""
    quantity = known_quantity(metric.partition("[")[0])
    return bool(quantity and quantity.at_n)


def _kind(version: str, count: str, cells: list[str]) -> str:
    others = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return f"version {version}{count} in {cells[0]}{others}"


def _number_rows(record: Record) -> list[dict[str, Any]]:
    cell, keys = _cell(record), _keys(record) | {"task": record.task}
    if not record.numbers:
        empty = dict.fromkeys(NUMBER_COLUMNS, "") | {"value": math.nan, "error": math.nan, "num_images": math.nan}
        return [cell | empty | keys]
    return [
        cell
        | {
            "metric": name,
            "value": _float(number.value),
            "error": _float(number.error),
            "unit": number.unit,
            "direction": number.direction,
            "kind": number.kind,
            "version": number.version,
            "num_images": _float(number.num_images),
        }
        | keys
        for name, number in record.numbers.items()
    ]


def _cell(record: Record) -> dict[str, Any]:
    cell = record.cell
    return {
        "workload": cell.workload,
        "checkpoint": cell.checkpoint,
        "strategy": cell.strategy,
        "granularity": granularity_of(cell.strategy),
        "target": cell.target,
        "level": cell.level_label,
        "requested": cell.level.get("sparsity", math.nan),
        "achieved_params": _float(record.achieved_params),
        "achieved_macs": _float(record.achieved_macs),
        "recovery": cell.after,
        "seed": cell.seed,
        "status": record.status,
        "reason": record.reason,
        "varies": record.varies,
        "physical": record.physical,
        "architecture": record.architecture.hash if record.architecture else "",
        "zeros": zeros_of(record).hash,
    }


def _keys(record: Record) -> dict[str, Any]:
    return {"eval_key": record.keys.eval, "dense_key": record.provenance.dense_key or ""}


def _float(value: float | int | None) -> float:
    return math.nan if value is None else float(value)


def _frame(rows: list[dict[str, Any]], columns: list[str], numeric: set[str] = _NUMERIC) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype(
        {name: "float64" for name in columns if name in numeric} | {"seed": "int64", "physical": "bool"}
    )


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of any table as plain dictionaries. Column by column, which is much faster than `DataFrame.to_dict`."""
    names = [str(name) for name in frame.columns]
    columns = [frame.iloc[:, index].tolist() for index in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
