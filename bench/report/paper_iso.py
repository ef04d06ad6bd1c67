"""The paper table of what a strategy costs at equal quality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.best import not_separable
from bench.report.paper_captions import cheapest_rule, masks, same_network, setting
from bench.report.papertable import Column, Line, PaperTable, Value, counted, missing, text, tidied
from bench.tables.isoquality import CURVE, Margin, iso_points, iso_quality, margins_of
from bench.tables.lead import Judge, family_of
from bench.tables.naming import DENSE, strategy_order
from bench.tables.run_tables import RunTables
from bench.tables.summary import SHOWN_BATCHES
from bench.tables.tidy import rows_of
from bench.tasks import quantity_of

_TIMED = "Latency: dense latency / measured speed-up; its interval covers {}, not the timing."

Row = dict[str, Any]
Key = tuple[Any, ...]


def iso_quality_table(
    numbers: RunTables, margins: Sequence[Margin] | None = None, batches: Sequence[int] = SHOWN_BATCHES
) -> PaperTable | None:
    """The fewest parameters and MACs and the lowest latency at each of these losses against dense (None: those of the
    quantity that the task bounds by). The workloads are those of one judge.
    """
    points = iso_points(numbers.frame, numbers.latency, margins, batches)
    rows = rows_of(iso_quality(numbers.frame, points))
    if not rows:
        return None
    quantity = quantity_of(family_of(rows[0]["metric"]))
    labels = [margin.label(quantity) for margin in (margins_of(quantity) if margins is None else margins)]
    shares: dict[Key, dict[int, float]] = {}
    for point in rows_of(points):
        shares.setdefault(_iso_key(point), {})[point["seed"]] = point["share"]
    cost_of = [("params", 0), ("macs", 0), *(("latency", batch) for batch in batches)]
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        place = tuple(row[each] for each in [*CURVE[:4], "margin", "cost", "batch"])
        groups.setdefault(place, []).append(row)
    best = {
        group: not_separable(
            {_iso_key(row): shares[_iso_key(row)] for row in members if row["status"] != "not reached"},
            {_iso_key(row) for row in members if row["status"] == "at least"},
        )
        for group, members in groups.items()
    }
    bold = {key for found in best.values() for key in found.rows}
    columns = [
        *(Column(each, each.capitalize(), key=True) for each in CURVE[:4]),
        Column("margin", quantity.title, "above dense" if quantity.sign > 0 else "below dense", key=True),
        Column("strategy", "Strategy"),
        Column("params", "Params", "non-zero", direction="lower"),
        Column("macs", "MACs", "effective", direction="lower"),
        *(Column(f"latency_b{batch}", "Latency", f"batch {batch}", direction="lower") for batch in batches),
        Column("n", "n"),
    ]
    first = len(columns) - len(cost_of) - 1
    lines = []
    for place in dict.fromkeys(tuple(row[each] for each in CURVE[:4]) for row in rows):
        mine = [row for row in rows if tuple(row[each] for each in CURVE[:4]) == place]
        dense = {(row["cost"], row["batch"]): row["dense"] for row in mine}
        cells = [_cost(cost, dense.get((cost, batch), math.nan), math.nan) for cost, batch in cost_of]
        seeds = max(row["n"] for row in mine)
        lines.append(Line((*map(text, place), text("—"), text(DENSE), *cells, Value(str(seeds))), dense=True))
        for margin in labels:
            for strategy in sorted({row["strategy"] for row in mine}, key=strategy_order):
                found = {
                    (row["cost"], row["batch"]): row
                    for row in mine
                    if row["strategy"] == strategy and row["margin"] == margin
                }
                shown = [_iso_cost(found.get(key)) for key in cost_of]
                some = next(iter(found.values()))
                best_of = [
                    first + at
                    for at, key in enumerate(cost_of)
                    if key in found and shown[at].number and _iso_key(found[key]) in bold
                ]
                names = [*map(text, place), text(margin), text(strategy)]
                masked = not some["physical"]
                lines.append(Line((*names, *shown, Value(str(some["n"]))), frozenset(best_of), masked))
    timed = {row["status"] for row in rows if row["cost"] == "latency"}
    worse = "exceeds" if quantity.sign > 0 else "falls below"
    caption = [
        f"The cheapest network at {quantity.title} {'≤ dense +' if quantity.sign > 0 else '≥ dense −'} margin, seed by "
        f"seed: {quantity.tested} is interpolated linearly in the cost between neighbouring levels, dense included, "
        f"never beyond the last (≤: still held there); not reached: the mildest level {worse} it in every seed.",
        setting(rows, CURVE[:4], Judge(quantity, str(rows[0]["metric"])), float(rows[0]["num_images"])),
        *cheapest_rule(list(best.values())),
        *masks(lines),
        *([_TIMED.format(quantity.title)] if timed else []),
        *same_network("as dense" if "as dense" in timed else "", numbers.latency),
    ]
    title = "Cost at equal quality"
    return tidied(PaperTable("iso-quality", title, tuple(caption), tuple(columns), tuple(lines)))


def _iso_key(row: Mapping[str, Any]) -> Key:
    return tuple(row[each] for each in [*CURVE, "cost", "batch", "margin"])


def _cost(cost: str, value: float, ratio: float, half: float = math.nan, *, bound: bool = False) -> Value:
    if cost == "latency":
        shown = counted(value, ratio, half, smallest="", bound=bound)
        return Value(shown.main, shown.half, " ms", shown.ratio, bound) if shown.number else shown
    return counted(value, ratio, half, bound=bound)


def _iso_cost(row: Row | None) -> Value:
    if row is None:
        return missing()
    if row["status"] == "not reached":
        return missing("not reached")
    if row["status"] == "as dense":
        return missing("as dense")
    return _cost(row["cost"], row["value"], row["ratio"], row["ci95"], bound=row["status"] == "at least")
