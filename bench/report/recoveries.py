"""What each recovery brings: the same pruned networks, one row for each thing that was done to them afterwards."""

from __future__ import annotations

import pandas as pd

from bench.report.blocks import Block, Grid, Heading, Section, grid, section
from bench.tables.lead import lead_of, metric_in, power_in, times_ten
from bench.tables.naming import DENSE
from bench.tables.text import MISSING, judged_text
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

Row = dict[str, object]

PLACE = ["workload", "checkpoint", "target", "level"]
TITLE = "What each recovery brings"


def recoveries_section(summary: pd.DataFrame) -> Section:
    """What judges, of recoveries x strategies, a table for each workload and level.

    ``summary`` is that of `bench.tables.summarise`. Empty with a single recovery, or where nothing judges.
    """
    if summary["recovery"].nunique() < 2:
        return Section(TITLE, ())
    tables: list[Block] = []
    for _, rows in summary.groupby("workload", sort=False):
        plain = rows_of(rows)
        lead = lead_of(plain)
        pruned = rows[rows["strategy"] != DENSE].sort_values("requested", kind="stable")
        if not lead or pruned.empty:
            continue
        shown = [name for name in PLACE[1:] if pruned[name].nunique() > 1 or name == "level"]
        power = power_in(plain, lead)
        judge = " ".join(filter(None, [metric_in(plain, lead), times_ten(power), lead.arrow]))
        for key, group in pruned.groupby(PLACE, sort=False):
            place = dict(zip(PLACE, key, strict=True))
            dense = rows[(rows["strategy"] == DENSE) & (rows["checkpoint"] == place["checkpoint"])]  # of any target
            both = pd.concat([dense, group])
            words = ", ".join(str(place[name]) for name in ("workload", *shown))
            tables += [Heading((f"{words}: {judge}",)), _table(both, lead, power)]
    if not tables:
        return Section(TITLE, ())
    text = (
        "Mean over the seeds with its 95 % interval, as in the main table. A column is one pruned network (for "
        "schedules that prune while training: one way to prune it); its rows differ in what was done afterwards."
    )
    return section(TITLE, text, *tables)


def _table(rows: pd.DataFrame, lead: Quantity, power: int) -> Grid:
    recoveries, strategies = (list(dict.fromkeys(rows[name])) for name in ("recovery", "strategy"))
    found = {(row["recovery"], row["strategy"]): _cell(row, lead, power) for row in rows_of(rows)}
    body = [
        [recovery, *(found.get((recovery, strategy), MISSING) for strategy in strategies)] for recovery in recoveries
    ]
    return grid(["recovery", *strategies], body, name="By recovery")


def _cell(row: Row, lead: Quantity, power: int) -> str:
    return str(row["status"]) if row["status"] in ("not-applicable", "infeasible") else judged_text(row, lead, power)
