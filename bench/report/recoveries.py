"""What each recovery brings: the same pruned networks, one row for each thing that was done to them afterwards."""

from __future__ import annotations

import pandas as pd

from bench.report.markdown import section
from bench.tables import escape, markdown_table
from bench.tables.lead import lead_of, power_for, scaled, times_ten
from bench.tables.naming import DENSE
from bench.tables.text import MISSING, with_interval
from bench.tables.tidy import rows_of

Row = dict[str, object]

PLACE = ["workload", "checkpoint", "target", "level"]


def recoveries_section(summary: pd.DataFrame) -> str:
    """FID (where it was not measured KID) of recoveries x strategies, a table for each workload and level.

    ``summary`` is that of `bench.tables.summarise`. Empty with a single recovery, or where nothing judges.
    """
    if summary["recovery"].nunique() < 2:
        return ""
    tables = []
    for _, rows in summary.groupby("workload", sort=False):
        lead = lead_of(rows_of(rows))
        pruned = rows[rows["strategy"] != DENSE].sort_values("requested", kind="stable")
        if not lead or pruned.empty:
            continue
        shown = [name for name in PLACE[1:] if pruned[name].nunique() > 1 or name == "level"]
        power = power_for(lead, rows[f"{lead}_mean"])
        metric = next(name for name in rows[f"{lead}_metric"] if name)
        judge = " ".join(filter(None, [escape(metric), times_ten(power), "↓"]))
        for key, group in pruned.groupby(PLACE, sort=False):
            place = dict(zip(PLACE, key, strict=True))
            dense = rows[(rows["strategy"] == DENSE) & (rows["checkpoint"] == place["checkpoint"])]  # of any target
            both = pd.concat([dense, group])
            words = ", ".join(escape(str(place[name])) for name in ("workload", *shown))
            tables.append(f"### {words}: {judge}\n\n{_table(both, lead, power)}")
    if not tables:
        return ""
    text = (
        "Mean over the seeds with its 95 % interval, as in the main table. A column is one pruned network (for "
        "schedules that prune while training: one way to prune it); its rows differ in what was done afterwards."
    )
    return section("What each recovery brings", text, *tables)


def _table(rows: pd.DataFrame, lead: str, power: int) -> str:
    recoveries, strategies = (list(dict.fromkeys(rows[name])) for name in ("recovery", "strategy"))
    found = {(row["recovery"], row["strategy"]): _cell(row, lead, power) for row in rows_of(rows)}
    body = [
        [escape(recovery), *(found.get((recovery, strategy), MISSING) for strategy in strategies)]
        for recovery in recoveries
    ]
    return markdown_table(["recovery", *map(escape, strategies)], body)


def _cell(row: Row, lead: str, power: int) -> str:
    if row["collapsed"]:
        return str(row["collapsed"])
    if row["status"] in ("not-applicable", "infeasible"):
        return escape(str(row["status"]))
    return with_interval(*scaled(row, (f"{lead}_mean", f"{lead}_ci95"), power), 2)
