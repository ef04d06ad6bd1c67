"""The number that judges a workload, how it is scaled, and how it is called: all of it from the workload's task."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.tables.naming import main_metric
from bench.tables.tidy import rows_of
from bench.tasks import DEFAULT, TASKS, Quantity, Task, task_named

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True)
class Judge:
    """What judges a workload in a run."""

    quantity: Quantity
    metric: str
    """The metric that gives it: the quantity's name, with the judging network in brackets."""


def task_of(table: pd.DataFrame) -> Task:
    """The task of a table's rows, which are those of one workload."""
    return task_named(str(table["task"].iloc[0]) if len(table) else DEFAULT)


def tasks_of(table: pd.DataFrame) -> list[Task]:
    """The tasks of a table's rows, each once; without any row the default."""
    names = list(dict.fromkeys(map(str, table["task"])))
    return [task_named(name) for name in names or [DEFAULT]]


def judge_by(task: Task, metrics: Iterable[str]) -> Judge | None:
    """The first of the task's leaders that was measured, and the metric of it that `main_metric` names."""
    names = set(metrics)
    for leader in task.leaders:
        if metric := main_metric(names, leader):
            return Judge(task.quantity(leader), metric)
    return None


def judges_of(table: pd.DataFrame) -> dict[str, Judge | None]:
    """Of each workload of a table with the columns ``workload, task, metric``, what judges it."""
    return {
        str(workload): judge_by(task_of(rows), rows["metric"])
        for workload, rows in table.groupby("workload", sort=True)
    }


def bounds_of(table: pd.DataFrame) -> dict[str, Judge | None]:
    """As `judges_of`: the quantity of *at equal quality*, where it was measured."""
    found: dict[str, Judge | None] = {}
    for workload, rows in table.groupby("workload", sort=True):
        task = task_of(rows)
        found[str(workload)] = _measured_as(task.bounding, rows)
        if found[str(workload)] is None and task.bounding.at_n:  # an older run, or a judge without it
            found[str(workload)] = _measured_as(task.quantity(task.bounding.at_n), rows)
    return found


def watched_of(table: pd.DataFrame) -> dict[str, Judge]:
    """As `judges_of`: the quantity of learning curves, by its plain name where it was not measured besides."""
    found: dict[str, Judge] = {}
    for workload, rows in table.groupby("workload", sort=True):
        quantity = task_of(rows).watching
        found[str(workload)] = _measured_as(quantity, rows) or Judge(quantity, quantity.name)
    return found


def areas_of(table: pd.DataFrame) -> dict[str, Judge | None]:
    """As `judges_of`: the quantity of the hypervolume, where it was measured."""
    found: dict[str, Judge | None] = {}
    for workload, rows in table.groupby("workload", sort=True):
        task = task_of(rows)
        found[str(workload)] = _measured_as(task.quantity(task.area), rows)
    return found


def _measured_as(quantity: Quantity, rows: pd.DataFrame) -> Judge | None:
    metric = main_metric(rows["metric"].tolist(), quantity.name)
    return Judge(quantity, metric) if metric else None


def judges(found: Iterable[Judge | None]) -> list[Quantity]:
    """The quantities that judge, each once, in the order of their tasks."""
    names = {judge.quantity.name: judge.quantity for judge in found if judge}
    return sorted(names.values(), key=lambda quantity: _rank(quantity.name))


def _rank(name: str) -> int:
    order = [leader for task in TASKS.values() for leader in task.leaders]
    return order.index(name) if name in order else len(order)


def family_of(metric: str | None) -> str:
    """What stands before the bracket of a metric; empty for None."""
    return (metric or "").partition("[")[0]


def lead_of(rows: Sequence[Mapping[str, Any]]) -> Quantity | None:
    """The quantity that judges these rows of `summarise` (of one task); None where none of its leaders was measured."""
    return next((quantity for quantity in _named(rows, "leaders") if _measured(rows, quantity)), None)


def beside_of(rows: Sequence[Mapping[str, Any]]) -> list[Quantity]:
    """The quantities that stand beside it, where they were measured."""
    lead = lead_of(rows)
    return [quantity for quantity in _named(rows, "beside") if quantity != lead and _measured(rows, quantity)]


def _named(rows: Sequence[Mapping[str, Any]], which: str) -> list[Quantity]:
    if not rows:
        return []
    task = task_named(rows[0]["task"])
    return [task.quantity(name) for name in getattr(task, which)]


def _measured(rows: Sequence[Mapping[str, Any]], quantity: Quantity) -> bool:
    return any(row[f"{quantity.name}_metric"] for row in rows)


def leads_of(summary: pd.DataFrame) -> dict[str, Judge]:
    """What judges each workload of the `summarise`d table; workloads that nothing judges are missing."""
    found = {}
    for workload, group in summary.groupby("workload", sort=True):
        rows = rows_of(group)
        if lead := lead_of(rows):
            found[str(workload)] = Judge(lead, metric_in(rows, lead))
    return found


def metric_in(rows: Iterable[Mapping[str, Any]], quantity: Quantity) -> str:
    """The metric that gives a quantity in rows of `summarise`; empty where nothing does."""
    return next((str(row[f"{quantity.name}_metric"]) for row in rows if row[f"{quantity.name}_metric"]), "")


def power_for(quantity: Quantity | None, values: Iterable[float]) -> int:
    """The power of ten that a column's values are shown times: 0 but for quantities whose values are far below 1.

    For those that of the papers where the median is readable there (from 0.1 to below 1,000), else the one that
    brings the median to between 1 and 10.
    """
    found = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if quantity is None or quantity.habit is None or not found:
        return 0
    place = math.floor(math.log10(statistics.median(found)))
    return quantity.habit if -1 <= place + quantity.habit < 3 else max(0, -place)


def power_in(rows: Iterable[Mapping[str, Any]], quantity: Quantity | None) -> int:
    """`power_for` the means of rows of `summarise`; where all collapsed, those of every seed."""
    if quantity is None:
        return 0
    means = [(float(row[f"{quantity.name}_mean"]), float(row[f"{quantity.name}_finite_mean"])) for row in rows]
    usable = [mean for mean, _ in means if math.isfinite(mean)]
    return power_for(quantity, usable or [every for _, every in means])


def times_ten(power: int) -> str:
    """``× 10³``; empty for 0."""
    return f"× 10{str(power).translate(_SUPERSCRIPT)}" if power else ""


def scaled(row: Mapping[str, Any], names: tuple[str, str], power: int) -> tuple[float, float]:
    """The row's mean and half width, which have these names, times ten to the ``power``."""
    mean, half = names
    return float(row[mean]) * 10.0**power, float(row[half]) * 10.0**power


def titled(quantity: Quantity, power: int, *more: str) -> str:
    """The title with its power of ten and what else stands behind it."""
    return " ".join(filter(None, (quantity.title, times_ten(power), *more)))
