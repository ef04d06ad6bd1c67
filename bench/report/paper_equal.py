"""Paper tables of strategies at the same size, the same MACs or the same measured speed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.best import not_separable
from bench.report.claims import SAME_SIZE, against_reference
from bench.report.paper_captions import against, bold_rule, masks, same_network, setting, timing
from bench.report.papertable import Column, Line, PaperTable, Value, counted, decimals, faster, missing, text, tidied
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.lead import LEADERS, TITLES, digits_of, lead_of, power_for, scaled, times_ten, title_of
from bench.tables.naming import DENSE, main_metric
from bench.tables.numbers import Numbers
from bench.tables.select import PLACE, Selection, at_equal_macs, at_equal_params, at_equal_speedup
from bench.tables.summary import SHOWN_BATCHES
from bench.tables.text import MISSING
from bench.tables.tidy import rows_of

SAME_SPEED = faster(1.0, 1.0, 1.0)
"""The speed-up of a network with the dense architecture, as it is printed."""
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
    lead = lead_of(rows)
    judge = title_of(lead)
    values = _values(numbers.frame, rows, lead) if lead else {}
    best = {
        group: not_separable({_key(row): values[_key(row)] for row in members if _key(row) in values})
        for group, members in groups.items()
    }
    bold = {key for found in best.values() for key in found.rows}
    metrics = {(_key(row), row["metric"]): row for row in rows_of(numbers.aggregated)}
    beside = [family for family in TITLES if family not in ("fid", lead)]
    leaders = {family: main_metric(numbers.aggregated["metric"], family) or family for family in (lead, *beside)}
    powers = {family: _power(family, leaders[family], rows, metrics) for family in leaders}
    direction = {family: "lower" if family in LEADERS else "higher" for family in leaders}
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
        *(
            Column(family, *_judged(leaders[family], title_of(family), powers[family]), direction[family])
            for family in ([lead] if lead else []) + beside
        ),
        *([Column("against_reference", f"{judge} vs.", reference)] if reference and lead else []),
        Column("n", "n"),
    ]
    where = next((index for index, column in enumerate(columns) if column.name == lead), -1)
    lines = []
    for row in rows:
        key, dense = _key(row), row["strategy"] == DENSE
        others = [_metric(metrics.get((key, leaders[family])), family, powers[family]) for family in beside]
        verdict = "ref." if row["strategy"] == reference else verdicts.get(key, MISSING)
        cells = [
            *(text(row[each]) for each in PLACE),
            _level(selection, row["at"]),
            text(row["strategy"]),
            *([] if matched == "params" else [decimals(row["achieved_params"], 2)]),
            _count(row, "params_nonzero", row["params_nonzero_ratio"]),
            _count(row, "macs_effective", row["speedup_theoretical"]),
            *(faster(*(row[f"speedup_b{batch}{end}"] for end in ("", "_low", "_high"))) for batch in SHOWN_BATCHES),
            *([_quality(row, lead, powers[lead])] if lead else []),
            *others,
            *([text(verdict)] if reference and lead else []),
            _n(row, lead),
        ]
        masked = not dense and not row["physical"] and not math.isnan(row["achieved_params"])
        lines.append(Line(tuple(cells), frozenset([where]) if key in bold else frozenset(), masked, dense))
    caption = [
        setting(rows, PLACE),
        *([f"Left out, as too far from their level: {'; '.join(selection.left_out)}."] if selection.left_out else []),
        *bold_rule(list(best.values()), f"the lowest {judge} of its group", "log FID" if lead == "fid" else judge),
        *masks(lines),
        *against(reference, lines, judge),
        *timing(rows),
        *same_network(_at_one(lines, columns), numbers.latency),
    ]
    title = f"{title} ({selection.how})"
    return tidied(PaperTable(name, title, tuple(caption), tuple(columns), tuple(lines)))


def _at_one(lines: Sequence[Line], columns: Sequence[Column]) -> str:
    """How the speed-up of a network with the dense architecture is printed, where one that is not dense has it."""
    places = [index for index, column in enumerate(columns) if column.name.startswith("speedup_b")]
    cells = (line.cells[index] for line in lines if not line.dense for index in places)
    return next((cell.text for cell in cells if cell.text == SAME_SPEED.text), "")


def _power(family: str, metric: str, rows: Sequence[Row], metrics: Mapping[tuple[Key, str], Row]) -> int:
    """What the shown means of a family are multiplied by, as a power of ten."""
    found = (metrics.get((_key(row), metric)) for row in rows)
    return power_for(family, [row["mean"] for row in found if row is not None])


def _values(frame: pd.DataFrame, rows: Sequence[Row], lead: str) -> dict[Key, dict[int, float]]:
    """Seed -> FID (or KID) of each row that has one and in which no seed collapsed."""
    usable = [row for row in rows if not row["collapsed"] and not math.isnan(row[f"{lead}_mean"])]
    metrics = {_key(row): row[f"{lead}_metric"] for row in usable}
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


def _n(row: Row, lead: str) -> Value:
    if lead and math.isnan(row[f"{lead}_mean"]):
        return missing()
    n, seeds = int(row["n"]), int(row["seeds"])
    return Value(str(n)) if n == seeds else text(f"{n} of {seeds}")


def _quality(row: Row, lead: str, power: int) -> Value:
    if row["collapsed"]:
        return missing(row["collapsed"])
    mean, half = scaled(row, (f"{lead}_mean", f"{lead}_ci95"), power)
    if math.isnan(mean):
        return missing(str(row["status"]).replace("-", " ") if row["status"] != "ok" else "")
    return decimals(mean, digits_of(lead), half)


def _metric(row: Row | None, family: str, power: int) -> Value:
    if row is None:
        return missing()
    mean, half = scaled(row, ("mean", "ci95"), power)
    return decimals(mean, digits_of(family), half)


def _judged(metric: str, title: str, power: int) -> tuple[str, str]:
    """Title and qualifier of a metric: ``KID`` and ``[mnist-lenet] × 10³``; the public Inception is not named."""
    inner = metric.partition("[")[2].rstrip("]")
    judge = "" if inner in ("", "inception-v3-compat") else f"[{inner}]"
    return title, " ".join(filter(None, (judge, times_ten(power))))
