"""Paper tables of strategies at the same size, the same MACs or the same measured speed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.best import leading, leading_without
from bench.report.paper_captions import claims_rule, masks, same_network, setting, timing
from bench.report.papertable import Column, Line, PaperTable, Value, counted, decimals, faster, missing, text, tidied
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.claim import BEST, SAME_SIZE, Claims, Verdict
from bench.tables.lead import Judge, lead_of, metric_in, power_for, scaled, times_ten
from bench.tables.naming import DENSE, judge_in, main_metric
from bench.tables.run_tables import RunTables
from bench.tables.select import PLACE, Selection, at_equal_macs, at_equal_params, at_equal_speedup
from bench.tables.summary import SHOWN_BATCHES
from bench.tables.text import MISSING
from bench.tables.tidy import rows_of
from bench.tasks import Quantity, is_public, task_named

SPEEDUP = ("", "_low", "_high", "_verdict")
SAME_SPEED = faster(1.0, 1.0, 1.0)
"""The speed-up of a network with the dense architecture, as it is printed."""
VERDICTS: dict[Verdict, str] = {
    "lower": "lower",
    "higher": "higher",
    "not separable": "n.s.",
    "identical": "identical",
    "collapsed": "collapsed",
    "worse: collapsed": "worse: coll.",
    "better: the other collapsed": "better: ref. coll.",
    "both collapsed": "both coll.",
    "other size": "other size",
    "too few seeds": "few seeds",
}
"""A claim in a cell."""
NO_CLAIMS = "Nothing is bold: the report's claims compare strategies at the same requested level."

Row = dict[str, Any]
Key = tuple[Any, ...]


def equal_params(numbers: RunTables, claims: Claims) -> PaperTable | None:
    """Every strategy at the same sparsity."""
    selection = at_equal_params(numbers.summary, SAME_SIZE)
    title = "Pruning strategies at equal parameters"
    return _equal(numbers, selection, "equal-params", title, Column("sparsity", "Sparsity", key=True), claims)


def equal_macs(numbers: RunTables, claims: Claims) -> PaperTable | None:
    """Every strategy that removes the same share of the MACs."""
    selection = at_equal_macs(numbers.summary, SAME_SIZE)
    title = "Pruning strategies at equal MACs"
    return _equal(numbers, selection, "equal-macs", title, Column("macs_removed", "MACs removed", key=True), claims)


def equal_speedup(numbers: RunTables, claims: Claims, batch: int = 1) -> PaperTable | None:
    """Every strategy whose networks are measured to be equally fast."""
    selection = at_equal_speedup(numbers.summary, batch)
    title = f"Pruning strategies at equal measured latency, batch {batch}"
    column = Column("speedup", "Speed-up", f"batch {batch}", key=True)
    return _equal(numbers, selection, f"equal-speedup-b{batch}", title, column, claims)


def _equal(
    numbers: RunTables, selection: Selection, name: str, title: str, level: Column, claims: Claims
) -> PaperTable | None:
    rows = rows_of(selection.frame)
    if not rows:
        return None
    lead = lead_of(rows)
    verdicts = _verdicts(selection, rows, claims)
    bold = _bold(selection, rows, claims)
    metrics = {(_key(row), row["metric"]): row for row in rows_of(numbers.aggregated)}
    task = task_named(rows[0]["task"])
    beside = [each for each in task.quantities if each.name != task.bound and each != lead]
    shown = [*([lead] if lead else []), *beside]
    names = {each.name: main_metric(numbers.aggregated["metric"], each.name) or each.name for each in shown}
    powers = {each.name: _power(each, names[each.name], rows, metrics) for each in shown}
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
            Column(each.name, *_judged(names[each.name], each.title, powers[each.name]), each.direction)
            for each in shown
        ),
        *([Column("against_reference", f"{lead.title} vs.", claims.reference)] if lead and verdicts else []),
        Column("n", "n"),
    ]
    where = next((index for index, column in enumerate(columns) if lead and column.name == lead.name), -1)
    lines = []
    for row in rows:
        key, dense = _key(row), row["strategy"] == DENSE
        others = [_metric(metrics.get((key, names[each.name])), each, powers[each.name]) for each in beside]
        cells = [
            *(text(row[each]) for each in PLACE),
            _level(selection, row["at"]),
            text(row["strategy"]),
            *([] if matched == "params" else [decimals(row["achieved_params"], 2)]),
            _count(row, "params_nonzero", row["params_nonzero_ratio"]),
            _count(row, "macs_effective", row["speedup_theoretical"]),
            *(faster(*(row[f"speedup_b{batch}{end}"] for end in SPEEDUP)) for batch in SHOWN_BATCHES),
            *([_quality(row, lead, powers[lead.name])] if lead else []),
            *others,
            *([text(verdicts.get(key, MISSING))] if lead and verdicts else []),
            _n(row, lead),
        ]
        masked = not dense and not row["physical"] and not math.isnan(row["achieved_params"])
        lines.append(Line(tuple(cells), frozenset([where]) if key in bold else frozenset(), masked, dense))
    judge = Judge(lead, metric_in(rows, lead)) if lead else None
    caption = [
        setting(rows, PLACE, judge, float(rows[0][f"{lead.name}_num_images"]) if lead else math.nan),
        *([f"Left out, as too far from their level: {'; '.join(selection.left_out)}."] if selection.left_out else []),
        *(claims_rule(claims.reference, lead, bold=bool(bold)) if lead and verdicts else [NO_CLAIMS] if lead else []),
        *masks(lines),
        *timing(rows, numbers.latency),
        *same_network(_at_one(lines, columns), numbers.latency),
    ]
    title = f"{title} ({selection.how})"
    return tidied(PaperTable(name, title, tuple(caption), tuple(columns), tuple(lines)))


def _claimed(selection: Selection, row: Row) -> bool:
    """Whether the row's group is matched on what claims are: the same requested level of the same target."""
    return bool(row["target"] == selection.axis and row["strategy"] != DENSE and row["requested"] == row["at"])


def _verdicts(selection: Selection, rows: Sequence[Row], claims: Claims) -> dict[Key, str]:
    """What the report's claims say of each row against the reference; empty where they say nothing of any."""
    known = claims.verdicts()
    found = {
        _key(row): VERDICTS[known[_key(row)].verdict] for row in rows if _claimed(selection, row) and _key(row) in known
    }
    return found and found | {_key(row): "ref." for row in rows if row["strategy"] == claims.reference}


def _bold(selection: Selection, rows: Sequence[Row], claims: Claims) -> frozenset[Key]:
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        if _claimed(selection, row):
            groups.setdefault((*(row[each] for each in PLACE), row["at"]), []).append(row)
    found: frozenset[Key] = frozenset()
    for members in groups.values():
        if claims.reference in (DENSE, BEST):
            found |= leading_without([_key(row) for row in members], claims.verdicts())
            continue
        reference = next((_key(row) for row in members if row["strategy"] == claims.reference), None)
        found |= leading([_key(row) for row in members], reference, claims.verdicts())
    return found


def _at_one(lines: Sequence[Line], columns: Sequence[Column]) -> str:
    """How the speed-up of a network with the dense architecture is printed, where one that is not dense has it."""
    places = [index for index, column in enumerate(columns) if column.name.startswith("speedup_b")]
    cells = (line.cells[index] for line in lines if not line.dense for index in places)
    return next((cell.text for cell in cells if cell.text == SAME_SPEED.text), "")


def _power(quantity: Quantity, metric: str, rows: Sequence[Row], metrics: Mapping[tuple[Key, str], Row]) -> int:
    """What the shown means of a quantity are multiplied by, as a power of ten."""
    found = (metrics.get((_key(row), metric)) for row in rows)
    known = [row for row in found if row is not None]
    usable = [row["mean"] for row in known if math.isfinite(row["mean"])]
    return power_for(quantity, usable or [row["finite_mean"] for row in known])


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(row[each] for each in GROUP_COLUMNS)


def _level(selection: Selection, at: float) -> Value:
    if selection.axis == "speedup":
        return Value("1" if math.isnan(at) else f"{at:g}", unit="x", number=False)
    return Value("0" if math.isnan(at) else f"{100 * at:g}", unit=" %", number=False)


def _count(row: Row, name: str, ratio: float) -> Value:
    return counted(row[name], math.nan if row["strategy"] == DENSE else ratio)


def _n(row: Row, lead: Quantity | None) -> Value:
    if lead and math.isnan(row[f"{lead.name}_finite_mean"]):
        return missing()
    n, seeds = int(row["finite_n"]), int(row["seeds"])
    return Value(str(n)) if n == seeds else text(f"{n} of {seeds}")


def _quality(row: Row, lead: Quantity, power: int) -> Value:
    mean, half = scaled(row, (f"{lead.name}_finite_mean", f"{lead.name}_finite_ci95"), power)
    if math.isnan(mean):
        status = str(row["status"]).replace("-", " ") if row["status"] != "ok" else ""
        return missing(row["collapsed"] or status)
    shown = decimals(mean, lead.decimals, half)
    return text(f"{shown.text}, {row['collapsed']}") if row["collapsed"] else shown


def _metric(row: Row | None, quantity: Quantity, power: int) -> Value:
    if row is None:
        return missing()
    mean, half = scaled(row, ("finite_mean", "finite_ci95"), power)
    return decimals(mean, quantity.decimals, half)


def _judged(metric: str, title: str, power: int) -> tuple[str, str]:
    """Title and qualifier of a metric: its judge in brackets, the power of ten; the public judge is not named."""
    inner = judge_in(metric)
    judge = "" if not inner or is_public(inner) else f"[{inner}]"
    return title, " ".join(filter(None, (judge, times_ten(power))))
