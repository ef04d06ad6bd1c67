"""What to deploy: quality, bytes and milliseconds of every network as it would be shipped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.records.finishes import after_pruning
from bench.report.blocks import Block, Grid, Heading, Paragraph, Section, grid, section
from bench.tables.aggregate import GROUP_COLUMNS
from bench.tables.deploy import quickest
from bench.tables.lead import lead_of, metric_in, power_in, times_ten
from bench.tables.naming import DENSE
from bench.tables.places import names_in
from bench.tables.text import MISSING, judged_text
from bench.tables.tidy import rows_of
from bench.tasks import Quantity

TITLE = "What to deploy"
Row = dict[str, Any]
NONE = Paragraph(("None is both timed without disturbance and shown to be as good.",))


def deploy_section(table: pd.DataFrame, summary: pd.DataFrame) -> Section:
    """A table of all that could be shipped, and the quickest of each backend that is as good as dense.

    ``table`` is that of `bench.tables.deploy.deploy_table`. Empty where no network has a finish.
    """
    if table.empty:
        return Section(TITLE, ())
    said = {tuple(row[name] for name in GROUP_COLUMNS): row for row in rows_of(summary)}
    names = names_in(table)
    blocks: list[Block] = []
    for (workload, checkpoint), rows in table.groupby(["workload", "checkpoint"], sort=False):
        mine = [row for row in rows_of(summary) if row["workload"] == workload]
        lead = lead_of(mine)
        if lead is None:
            continue
        power = power_in(mine, lead)
        judge = " ".join(filter(None, [metric_in(mine, lead), times_ten(power), lead.arrow]))
        place = names[str(workload), str(checkpoint)]
        best = quickest(rows)
        blocks += [
            Heading((f"{place}: the quickest that is as good as dense, by backend",)),
            _best(best, said, lead, power, judge) if len(best) else NONE,
            Heading((f"{place}: all that could be shipped",)),
            _all(rows, said, lead, power, judge),
        ]
    text = (
        "A finished network (bf16: weights and arithmetic in bfloat16; int8: 8 bits, static, calibrated on latents of "
        "the cell's own stream) is judged as it is shipped; parameters and MACs elsewhere in this report are counted "
        "before the finish. Bytes: of the files that are shipped; without a finish, of all tensors in float32. "
        "Milliseconds are a call on one thread, with the ends of the interval of the speed-up behind them. “Same "
        "runtime” is dense in float32 on the same runtime over them, “against eager” dense in eager PyTorch: that is "
        "of medians of different pairs, so without an interval. As good as dense: shown to lose no more than the "
        "margin against dense of the same recovery without a finish."
    )
    return section(TITLE, text, *blocks)


def _best(best: pd.DataFrame, said: Mapping[Any, Row], lead: Quantity, power: int, judge: str) -> Grid:
    headers = ["batch", "backend", "strategy", "level", "recovery", "finish", judge, "loses at most", "allowed",
               "bytes", "ms", "same runtime", "against eager"]  # fmt: skip
    body = [
        [row["batch"], row["backend"], *_named(row), *_quality(row, said, lead, power), *_costs(row)]
        for row in rows_of(best)
    ]
    return grid(headers, body, left=6, name="Quickest")


def _all(table: pd.DataFrame, said: Mapping[Any, Row], lead: Quantity, power: int, judge: str) -> Grid:
    """A line for each network and runtime, its batch sizes side by side."""
    batches = sorted(table["batch"].unique())
    lines: dict[tuple[Any, ...], dict[int, Row]] = {}
    for row in rows_of(table):
        key = (*(row[name] for name in GROUP_COLUMNS), row["finish"], row["backend"], row["device"])
        lines.setdefault(key, {})[row["batch"]] = row
    headers = [
        "strategy",
        "level",
        "recovery",
        "finish",
        "backend",
        judge,
        "loses at most",
        "as good as dense",
        "bytes",
    ]
    for batch in batches:
        headers += [f"ms, batch {batch}", f"same runtime, {batch}", f"against eager, {batch}"]
    body = []
    for found in lines.values():
        first = next(iter(found.values()))
        quality, bound, _ = _quality(first, said, lead, power)
        good = "yes" if first["within"] else "not shown"
        times = [text for batch in batches for text in (_costs(found[batch])[1:] if batch in found else [MISSING] * 3)]
        body.append([*_named(first), first["backend"], quality, bound, good, _costs(first)[0], *times])
    return grid(headers, body, left=5, name="Shipped")


def _named(row: Row) -> list[object]:
    return [row["strategy"], MISSING if row["strategy"] == DENSE else row["level"], row["recovery"], row["finish"]]


def _quality(row: Row, said: Mapping[Any, Row], lead: Quantity, power: int) -> tuple[str, str, str]:
    """What judges, what is lost at most against dense, and the margin."""
    key = tuple(after_pruning(row["recovery"], row["finish"]) if n == "recovery" else row[n] for n in GROUP_COLUMNS)
    mine = said[key]
    loss, allowed = (float(mine[name]) * 10.0**power for name in ("loses_at_most", "allowed_loss"))
    return judged_text(mine, lead, power), _number(loss), _number(allowed)


def _costs(row: Row) -> list[str]:
    ms = _number(row["ms"])
    if row["ms_low"] < row["ms_high"]:
        ms += f" [{_number(row['ms_low'])}, {_number(row['ms_high'])}]"
    speedup = f"{row['speedup']:.2f}x"
    if row["speedup_low"] < row["speedup_high"]:
        speedup += f" [{row['speedup_low']:.2f}, {row['speedup_high']:.2f}]"
    eager = f"{row['against_eager']:.2f}x" if math.isfinite(row["against_eager"]) else MISSING
    size = f"{row['bytes']:,.0f}" if math.isfinite(row["bytes"]) else MISSING
    return [size, ms, speedup, eager]


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else MISSING
