"""The main table as the page shows it: what each cell says, and what it is sorted by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.lead import beside_of, lead_of, metric_in, power_in, scaled, times_ten, titled
from bench.tables.naming import DENSE
from bench.tables.places import by_place
from bench.tables.text import (
    MISSING,
    VERDICTS,
    bound_places,
    difference_text,
    number,
    seen_places,
    with_collapse,
    with_interval,
)
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

Row = dict[str, Any]
MEAN = "mean ± half width of the 95 % interval"


@dataclass(frozen=True)
class Cell:
    """``sort`` is a number as text (empty: none, sorted last) or the text itself."""

    text: str
    sort: str
    note: str = ""
    """A second, smaller line."""
    warn: bool = False


@dataclass(frozen=True)
class Column:
    """One column: its words, whether its values are numbers, and how a row fills it."""

    key: str
    label: str
    group: str
    hint: str
    numeric: bool
    cell: Callable[[Row], Cell]


@dataclass(frozen=True)
class Seeds:
    """The single values behind a row: one line for each seed."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Entry:
    """One row of the main table."""

    ident: str
    key: tuple[str, str, str]
    """(place, strategy, level): what its samples are kept under."""
    granularity: str
    recovery: str
    dense: bool
    cells: tuple[Cell, ...]
    seeds: Seeds
    reason: str
    samples: str | None
    """The id of its samples in the page."""
    words: str
    """What a search finds it by, beside its workload, granularity and recovery."""
    quality: str
    """What stands beside its samples."""


@dataclass(frozen=True)
class Table:
    """All rows of one workload, and of one of its checkpoints."""

    ident: str
    workload: str
    place: str
    """The workload, with the checkpoint where it has several."""
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, int], ...]
    """Headers above neighbouring columns and how many they span."""
    entries: tuple[Entry, ...]
    caption: str


def main_tables(
    summary: pd.DataFrame, frame: pd.DataFrame, samples: Mapping[tuple[str, str, str], str], recovery: str | None
) -> list[Table]:
    """One table for each workload of the `summarise`d table, and each of its checkpoints.

    ``samples``: the id in the page of each block of samples; ``recovery``: the recovery that the samples come from
    (None: not known, then rows link to samples only where there is a single recovery).
    """
    recovery = recovery if recovery is not None or summary["recovery"].nunique() != 1 else summary["recovery"].iloc[0]
    seeds = _seeds(frame)
    tables, count = [], 0
    for index, (name, group) in enumerate(by_place(summary)):
        columns, quality = _columns(group), quality_words(rows_of(group))
        entries = []
        for row in rows_of(group):
            count += 1
            key = (name, str(row["strategy"]), str(row["level"]))
            kept = (key[0], key[1], "") if key[1] == DENSE else key
            shown = samples.get(kept) if row["recovery"] == recovery else None
            entries.append(
                Entry(
                    ident=f"row-{count}",
                    key=key,
                    granularity=str(row["granularity"]),
                    recovery=str(row["recovery"]),
                    dense=key[1] == DENSE,
                    cells=tuple(column.cell(row) for column in columns),
                    seeds=seeds[tuple(row[name] for name in GROUP_COLUMNS)],
                    reason=str(row["reason"]),
                    samples=shown,
                    words=f"{key[1]} {key[2]} {row['status']} {row['reason']}",
                    quality=quality(row),
                )
            )
        of, heads, said = str(group["workload"].iloc[0]), _groups(columns), _caption(group)
        tables.append(Table(f"table-{index + 1}", of, name, tuple(columns), heads, tuple(entries), said))
    return tables


def _columns(group: pd.DataFrame) -> list[Column]:
    """The columns that this workload has something for; names that are the same everywhere go into the caption."""
    rows = rows_of(group)
    lead, beside = lead_of(rows), beside_of(rows)
    columns = [
        Column("strategy", "strategy", "", "criterion, granularity, allocation, schedule", False, _text("strategy")),
        Column("level", "level", "", "the sparsity asked for, or the strategy's own knob", True, _level),
    ]
    for name in ("recovery", "target"):
        if group[name].nunique() > 1:
            columns.append(Column(name, name, "", "", False, _text(name)))
    columns += [
        Column("achieved", "achieved sparsity", "", "share of the weights that was removed", True, _achieved),
        *(_judging(rows, lead) if lead else []),
        *(
            Column(
                other.name, f"{metric_in(rows, other)} {other.arrow}", "Quality", other.summary, True, _measured(other)
            )
            for other in beside
        ),
        Column("params", "params (M) ↓", "Size", "parameters stored, in millions", True, _ratio("params")),
        Column("nonzero", "non-zero (M) ↓", "Size", "parameters that are not zero", True, _ratio("params_nonzero")),
        Column("executed", "MACs executed (M) ↓", "Compute", "what dense kernels run", True, _ratio("macs_dense")),
        Column("effective", "MACs effective (M) ↓", "Compute", "without multiplications by zero", True, _effective),
        Column("theory", "theoretical", "Speed-up ↑", "dense / effective MACs", True, _theoretical),
        Column("b1", "measured, batch 1", "Speed-up ↑", "dense time / pruned time", True, _speed("speedup_b1")),
        Column("b16", "measured, batch 16", "Speed-up ↑", "dense time / pruned time", True, _speed("speedup_b16")),
        Column("n", "n", "Evidence", "seeds that the mean is over", True, _count),
        Column("varies", "varies", "Evidence", "the random streams that the interval is over", False, _varies),
        Column("status", "status", "Evidence", "", False, _status),
    ]  # fmt: skip
    needs = {f"b{batch}": bool(group[f"speedup_b{batch}"].notna().any()) for batch in (1, 16)}
    return [column for column in columns if needs.get(column.key, True)]


def _judging(rows: Sequence[Row], lead: Quantity) -> list[Column]:
    power = power_in(rows, lead)
    title = " ".join(filter(None, (metric_in(rows, lead), times_ten(power), lead.arrow)))
    to_dense = f"difference to dense {lead.arrow}"
    return [
        Column("lead", title, "Quality", MEAN, True, _measured(lead, power)),
        Column(
            "delta", to_dense, "Quality", "same recovery, seeds and inputs, image by image", True, _delta(lead, power)
        ),
        Column(
            "bound", "loses at most", "Quality", "with all others of the table, at 97.5 %", True, _bound(lead, power)
        ),
    ]


def _groups(columns: list[Column]) -> tuple[tuple[str, int], ...]:
    groups: list[tuple[str, int]] = []
    for column in columns:
        if groups and groups[-1][0] == column.group:
            groups[-1] = (column.group, groups[-1][1] + 1)
        else:
            groups.append((column.group, 1))
    return tuple(groups)


def _caption(group: pd.DataFrame) -> str:
    same = [
        f"{name} {group[name].iloc[0]}" for name in ("recovery", "target", "checkpoint") if group[name].nunique() == 1
    ]
    lead = lead_of(rows_of(group))
    images = sorted({int(count) for count in group[f"{lead.name}_num_images"].dropna()}) if lead else []
    if lead and images:
        same.append(f"{lead.title} of {' or '.join(f'{count:,}' for count in images)} images")
    settings = sorted({str(text) for text in group["latency_setting"].dropna() if text})
    if settings:
        same.append(f"latency on {'; '.join(settings)}")
    return f"{group['workload'].iloc[0]}: {', '.join(same)}. Mean ± half width of the 95 % interval."


def _seeds(frame: pd.DataFrame) -> dict[tuple[Any, ...], Seeds]:
    """For each group its single seeds: achieved sparsity and every stochastic metric."""
    groups: dict[tuple[Any, ...], dict[int, list[Row]]] = {}
    for row in rows_of(frame):
        groups.setdefault(tuple(row[name] for name in GROUP_COLUMNS), {}).setdefault(row["seed"], []).append(row)
    found = {}
    for key, cells in groups.items():
        named = (row["metric"] for cell in cells.values() for row in cell if row["kind"] == "stochastic")
        metrics = list(dict.fromkeys(named))
        rows = []
        for seed in sorted(cells):
            first = cells[seed][0]
            values = {row["metric"]: row["value"] for row in cells[seed]}
            shown = [_significant(values.get(metric, math.nan)) for metric in metrics]
            rows.append((str(seed), str(first["status"]), number(first["achieved_params"], 4), *shown))
        found[key] = Seeds(("seed", "status", "achieved sparsity", *metrics), tuple(rows))
    return found


def _significant(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.5g}".replace("-", "−")


def _sort(value: float) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _text(name: str) -> Callable[[Row], Cell]:
    return lambda row: Cell(str(row[name]), str(row[name]))


def _level(row: Row) -> Cell:
    return Cell(str(row["level"]), _sort(row["requested"]))


def _achieved(row: Row) -> Cell:
    return Cell(number(row["achieved_params"], 3), _sort(row["achieved_params"]))


def _effective(row: Row) -> Cell:
    return _ratio("macs_effective", "speedup_theoretical")(row)


def _ratio(name: str, ratio: str = "") -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value, times = row[name], row[ratio or f"{name}_ratio"]
        if math.isnan(value):
            return Cell(MISSING, "")
        return Cell(f"{value / 1e6:#.3g}".rstrip("."), _sort(value), "" if math.isnan(times) else number(times, 1, "×"))

    return cell


def _measured(quantity: Quantity, power: int = 0) -> Callable[[Row], Cell]:
    names = (f"{quantity.name}_finite_mean", f"{quantity.name}_finite_ci95")

    def cell(row: Row) -> Cell:
        mean, half = scaled(row, names, power)
        shown = with_interval(mean, half, seen_places(mean, quantity.decimals))
        collapsed = str(row["collapsed"])
        if not collapsed:
            return Cell(shown, _sort(row[names[0]]))
        # It ranks last, so it is sorted as what has no number.
        return Cell(shown, "", collapsed, warn=True) if shown != MISSING else Cell(collapsed, "", warn=True)

    return cell


def _delta(lead: Quantity, power: int) -> Callable[[Row], Cell]:
    used = f"{lead.name}_delta_mean"  # without the seeds that collapsed: those rows are sorted last
    return lambda row: Cell(difference_text(row, lead, power), _sort(row[used]))


def _bound(lead: Quantity, power: int) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value, places = bound_places(row, lead, power)
        verdict = str(row["against_dense"])
        note = "" if row["collapsed"] else VERDICTS.get(verdict, verdict)
        return Cell(number(value, places), _sort(float(row["loses_at_most"]) * lead.sign), note)

    return cell


def quality_words(rows: Sequence[Row], *, interval: bool = True) -> Callable[[Row], str]:
    """What is said beside a row's samples: the mean with its title, on the scale of the judge, and ``collapsed 1/3``;
    without a judge its status.
    """
    lead = lead_of(rows)
    if not lead:
        return lambda row: str(row["collapsed"] or row["status"])
    power, digits = power_in(rows, lead), max(lead.decimals - 1, 0)
    title, names = titled(lead, power), (f"{lead.name}_finite_mean", f"{lead.name}_finite_ci95")

    def words(row: Row) -> str:
        mean, half = scaled(row, names, power)
        places = seen_places(mean, digits)
        shown = with_interval(mean, half, places) if interval else number(mean, places)
        collapsed = str(row["collapsed"])
        return collapsed if collapsed and math.isnan(mean) else with_collapse(f"{title} {shown}", collapsed)

    return words


def _theoretical(row: Row) -> Cell:
    return Cell(number(row["speedup_theoretical"], 2, "×"), _sort(row["speedup_theoretical"]))


def _speed(name: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        note = "" if math.isnan(low) or low == high else f"{low:.2f} to {high:.2f}"
        return Cell(number(row[name], 2, "×"), _sort(row[name]), note)

    return cell


def _count(row: Row) -> Cell:
    n, seeds = int(row["finite_n"]), int(row["seeds"])
    return Cell(str(n) if n == seeds else f"{n} of {seeds}", _sort(n), warn=n < seeds and row["status"] == "ok")


def _varies(row: Row) -> Cell:
    unknown = row["status"] in ("not-applicable", "infeasible")
    text = MISSING if unknown else str(row["varies"]) or "nothing (exact)"
    return Cell(text, text)


def _status(row: Row) -> Cell:
    ok = row["status"] == "ok"
    note = "" if row["physical"] or row["strategy"] == DENSE or not ok else "masked"
    return Cell(str(row["status"]), str(row["status"]), note, warn=not ok)
