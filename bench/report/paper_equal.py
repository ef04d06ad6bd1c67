"""Paper tables of strategies at the same size, the same MACs or the same measured speed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.best import not_separable
from bench.report.claims import SAME_SIZE, against_reference
from bench.report.paper_captions import against, bold_rule, masks, setting, timing
from bench.report.papertable import Column, Line, PaperTable, Value, counted, decimals, missing, text, tidied
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.naming import DENSE, main_metric
from bench.tables.numbers import Numbers
from bench.tables.select import PLACE, Selection, at_equal_macs, at_equal_params, at_equal_speedup
from bench.tables.summary import SHOWN_BATCHES
from bench.tables.text import MISSING
from bench.tables.tidy import rows_of

FAMILIES = {
    "is": ("IS", 2),
    "precision": ("Precision", 3),
    "recall": ("Recall", 3),
    "density": ("Density", 3),
    "coverage": ("Coverage", 3),
}
"""Metrics shown beside FID where the run has them: their title and decimals."""

_VERDICTS = {"lower": "lower", "higher": "higher", "not separable": "n.s.", "identical": "identical"}

Row = dict[str, Any]
Key = tuple[Any, ...]


def equal_params(numbers: Numbers, reference: str | None = None) -> PaperTable | None:
    """Every strategy at the same sparsity; with ``reference``, what the tests of the report say against it."""
    selection = at_equal_params(numbers.summary, SAME_SIZE)
    title = "Pruning strategies at equal parameters"
    return _equal(numbers, selection, "equal-params", title, Column("sparsity", "Sparsity", key=True), reference)


def equal_macs(numbers: Numbers) -> PaperTable | None:
    """Every strategy that removes the same share of the MACs."""
    selection = at_equal_macs(numbers.summary, SAME_SIZE)
    title = "Pruning strategies at equal MACs"
    return _equal(numbers, selection, "equal-macs", title, Column("macs_removed", "MACs removed", key=True))


def equal_speedup(numbers: Numbers, batch: int = 1) -> PaperTable | None:
    """Every strategy whose networks are measured to be equally fast."""
    selection = at_equal_speedup(numbers.summary, batch)
    title = f"Pruning strategies at equal measured latency, batch {batch}"
    column = Column("speedup", "Speed-up", f"batch {batch}", key=True)
    return _equal(numbers, selection, f"equal-speedup-b{batch}", title, column)


def _equal(
    numbers: Numbers, selection: Selection, name: str, title: str, level: Column, reference: str | None = None
) -> PaperTable | None:
    rows = rows_of(selection.frame)
    if not rows:
        return None
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        if row["strategy"] != DENSE:
            groups.setdefault((*(row[each] for each in PLACE), row["at"]), []).append(row)
    fids = _fids(numbers.frame, rows)
    best = {
        group: not_separable({_key(row): fids[_key(row)] for row in members if _key(row) in fids})
        for group, members in groups.items()
    }
    bold = {key for found in best.values() for key in found.rows}
    metrics = {(_key(row), row["metric"]): row for row in rows_of(numbers.aggregated)}
    leaders = {family: main_metric(numbers.aggregated["metric"], family) or family for family in FAMILIES}
    verdicts = _verdicts(numbers.frame, reference) if reference else {}
    matched = selection.axis
    columns = [
        Column("workload", "Workload", key=True),
        Column("checkpoint", "Checkpoint", key=True),
        Column("recovery", "Recovery", key=True),
        level,
        Column("strategy", "Strategy"),
        *([] if matched == "params" else [Column("achieved_sparsity", "Sparsity", direction="higher")]),
        Column("params", "Params", "non-zero", direction="lower"),
        Column("macs", "MACs", "effective", direction="lower"),
        *(Column(f"speedup_b{batch}", "Speed-up", f"batch {batch}", "higher") for batch in SHOWN_BATCHES),
        Column("fid", *_judged(rows[0]["fid_metric"], "FID"), direction="lower"),
        *(Column(family, *_judged(leaders[family], words), "higher") for family, (words, _) in FAMILIES.items()),
        *([Column("against_reference", "FID vs.", reference)] if reference else []),
        Column("n", "n"),
    ]
    where = next(index for index, column in enumerate(columns) if column.name == "fid")
    lines = []
    for row in rows:
        key, dense = _key(row), row["strategy"] == DENSE
        others = [metrics.get((key, leaders[family])) for family in FAMILIES]
        cells = [
            *(text(row[each]) for each in PLACE),
            _level(selection, row["at"]),
            text(row["strategy"]),
            *([] if matched == "params" else [decimals(row["achieved_params"], 2)]),
            _count(row, "params_nonzero", row["params_nonzero_ratio"]),
            _count(row, "macs_effective", row["speedup_theoretical"]),
            *(decimals(row[f"speedup_b{batch}"], 2, unit="x") for batch in SHOWN_BATCHES),
            _fid(row),
            *(_metric(found, digits) for found, (_, digits) in zip(others, FAMILIES.values(), strict=True)),
            *([text("ref." if row["strategy"] == reference else verdicts.get(key, MISSING))] if reference else []),
            _n(row),
        ]
        masked = not dense and not row["physical"] and not math.isnan(row["achieved_params"])
        lines.append(Line(tuple(cells), frozenset([where]) if key in bold else frozenset(), masked, dense))
    caption = [
        setting(rows, PLACE),
        *([f"Left out, as too far from their level: {'; '.join(selection.left_out)}."] if selection.left_out else []),
        *bold_rule(list(best.values()), "the lowest FID of its group", "FID"),
        *masks(lines),
        *against(reference, lines),
        *timing(rows),
    ]
    title = f"{title} ({selection.how})"
    return tidied(PaperTable(name, title, tuple(caption), tuple(columns), tuple(lines)))


def _fids(frame: pd.DataFrame, rows: Sequence[Row]) -> dict[Key, dict[int, float]]:
    """Seed -> FID of each row that has one and in which no seed collapsed."""
    metrics = {_key(row): row["fid_metric"] for row in rows if not row["collapsed"] and not math.isnan(row["fid_mean"])}
    values: dict[Key, dict[int, float]] = {}
    for row in rows_of(frame[frame["metric"].isin(set(metrics.values())) & (frame["status"] == "ok")]):
        if metrics.get(_key(row)) == row["metric"] and not math.isnan(row["value"]):
            values.setdefault(_key(row), {})[row["seed"]] = row["value"]
    return values


def _verdicts(frame: pd.DataFrame, reference: str) -> dict[Key, str]:
    claims = against_reference(frame[frame["status"].isin(["ok", "collapsed"])], reference)
    return {
        tuple(getattr(claim, each) for each in GROUP_COLUMNS): _VERDICTS[claim.verdict]
        for claim in claims
        if claim.verdict in _VERDICTS
    }


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(row[each] for each in GROUP_COLUMNS)


def _level(selection: Selection, at: float) -> Value:
    if selection.axis == "speedup":
        return Value("1" if math.isnan(at) else f"{at:g}", unit="x", number=False)
    return Value("0" if math.isnan(at) else f"{100 * at:g}", unit=" %", number=False)


def _count(row: Row, name: str, ratio: float) -> Value:
    return counted(row[name], math.nan if row["strategy"] == DENSE else ratio)


def _n(row: Row) -> Value:
    if math.isnan(row["fid_mean"]):
        return missing()
    n, seeds = int(row["n"]), int(row["seeds"])
    return Value(str(n)) if n == seeds else text(f"{n} of {seeds}")


def _fid(row: Row) -> Value:
    if row["collapsed"]:
        return missing(row["collapsed"])
    if math.isnan(row["fid_mean"]):
        return missing(str(row["status"]).replace("-", " ") if row["status"] != "ok" else "")
    return decimals(row["fid_mean"], 2, row["fid_ci95"])


def _metric(row: Row | None, digits: int) -> Value:
    return missing() if row is None else decimals(row["mean"], digits, row["ci95"])


def _judged(metric: str, title: str) -> tuple[str, str]:
    """Title and qualifier of a metric: ``FID`` and ``[mnist-lenet]``; the public Inception needs none."""
    inner = metric.partition("[")[2].rstrip("]")
    return title, "" if inner in ("", "inception-v3-compat") else f"[{inner}]"
