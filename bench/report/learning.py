"""Learning curves as a table: what was seen while pruned generators train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.records import CurvePoint, Record
from bench.tasks import task_named

CURVE_COLUMNS = ["workload", "strategy", "level", "recovery", "seed", "step", "metric", "value"]
TOLD_APART = "discriminator_accuracy"
"""How well D tells real from generated images, .5 by guessing: .5 says that G keeps up, 1 that it does not."""
QUALITY = "quality"
"""The metric of a curve that judges the network."""


def quality_key(record: Record) -> str:
    """Under which name the points of a record's curve hold what judges the network."""
    return task_named(record.task).watched


def curves_frame(records: Sequence[Record]) -> pd.DataFrame:
    """One row for each number of each learning curve.

    Columns: ``workload, strategy, level`` (label), ``recovery, seed, step, metric`` (`QUALITY`, ``loss_g, loss_d``,
    what else a point holds, and `TOLD_APART`), ``value``. Cells without a curve have no row; steps at which a number
    was not taken neither.
    """
    rows: list[dict[str, Any]] = []
    for record in records:
        cell = record.cell
        shared = {
            "workload": cell.workload, "strategy": cell.strategy, "level": cell.level_label, "recovery": cell.after,
            "seed": cell.seed,
        }  # fmt: skip
        judging = quality_key(record)
        for point in getattr(record, "curve", []):
            for metric, value in {**point, TOLD_APART: _told_apart(point)}.items():
                if metric != "step" and value is not None:
                    name = QUALITY if metric == judging else metric
                    rows.append(shared | {"step": point["step"], "metric": name, "value": float(value)})
    return pd.DataFrame(rows, columns=CURVE_COLUMNS)


def _told_apart(point: CurvePoint) -> float | None:
    """Share of real and generated images, half each, that D named rightly in training; None where none was asked."""
    real, fake = point.get("accuracy_real"), point.get("accuracy_fake")
    return None if real is None or fake is None else (real + fake) / 2
