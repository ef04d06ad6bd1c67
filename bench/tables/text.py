"""Tables as Markdown, safe for whatever a name contains."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from bench.tables.naming import main_metric
from bench.tables.tidy import rows_of

MISSING = "—"

_VARIES = {"": "nothing (exact)", "eval": "eval (latents only)"}


def escape(text: object) -> str:
    """``text`` as one line of Markdown that shows exactly its characters: no HTML, no links, no new table
    cell.
    """
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in str(text))).strip()
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*|~])", r"\\\1", line)
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    return line.replace("](", "]\\(").replace("][", "]\\[").replace("://", ":&#8203;//")


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A pipe table of cells that are already escaped; the first ``left`` columns and words align left,
    numbers right.
    """
    if not rows:
        return "*no rows*"
    numeric = [all(_is_number(row[index]) for row in rows) for index in range(len(headers))]
    align = ["right" if is_number and index >= left else "left" for index, is_number in enumerate(numeric)]
    return str(tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=align))


def summary_text(summary: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the main table (of one workload) from `summarise`'s numbers: units, ratios,
    intervals.
    """
    rows = rows_of(summary)
    fid = next((str(row["fid_metric"]) for row in rows if row["fid_metric"]), "fid")
    inception = next((str(row["is_metric"]) for row in rows if row["is_metric"]), "is")
    headers = [
        "strategy", "level", "recovery", "achieved sparsity", "params (M) ↓", "non-zero (M) ↓",
        "MACs executed ↓", "MACs effective ↓", f"{escape(fid)} ↓", "difference to dense",
        f"{escape(inception)} ↑", "speed-up theoretical", "measured, batch 1", "measured, batch 16",
        "n", "varies", "status", "reason",
    ]  # fmt: skip
    extra = [name for name in ("checkpoint", "target") if summary[name].nunique() > 1]
    table = [[*_cells(row), *(escape(row[name]) for name in extra)] for row in rows]
    return [*headers, *extra], table


def other_metrics_text(aggregated: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of one workload's other stochastic metrics (agreement with dense, FID to held-out
    images, ...).

    One column for each metric, mean ± half width, in its unit; no rows where there is no such metric.
    """
    main = {main_metric(aggregated["metric"].tolist(), family) for family in ("fid", "is")}
    other = aggregated[
        (aggregated["kind"] == "stochastic") & ~aggregated["metric"].isin([name for name in main if name])
    ]
    metrics = list(dict.fromkeys(other["metric"]))
    table: dict[tuple[str, str, str], dict[str, str]] = {}
    arrows = {"lower": " ↓", "higher": " ↑"}
    headers = {}
    for row in rows_of(other):
        key = (escape(row["strategy"]), escape(row["level"]), escape(row["recovery"]))
        shown = row["collapsed"] or with_interval(row["mean"], row["ci95"], 2)
        table.setdefault(key, {})[row["metric"]] = str(shown)
        unit = f" ({escape(row['unit'])})" if row["unit"] else ""
        headers[row["metric"]] = escape(row["metric"]) + unit + arrows.get(row["direction"], "")
    rows = [[*key, *(values.get(metric, MISSING) for metric in metrics)] for key, values in table.items()]
    return ["strategy", "level", "recovery", *(headers[metric] for metric in metrics)], rows


def _cells(row: dict[str, Any]) -> list[str]:
    collapsed = str(row["collapsed"])
    count = f"{row['n']:.0f}" if row["n"] == row["seeds"] else f"{row['n']:.0f} of {row['seeds']:.0f}"
    unknown = row["status"] in ("not-applicable", "infeasible")
    return [
        escape(row["strategy"]),
        escape(row["level"]),
        escape(row["recovery"]),
        number(row["achieved_params"], 3),
        with_ratio(row["params"], row["params_ratio"], 1e6, ""),
        with_ratio(row["params_nonzero"], row["params_nonzero_ratio"], 1e6, ""),
        macs(row["macs_dense"], row["macs_dense_ratio"]),
        macs(row["macs_effective"], row["speedup_theoretical"]),
        collapsed or with_interval(row["fid_mean"], row["fid_ci95"], 2),
        MISSING if collapsed else with_interval(row["fid_delta_mean"], row["fid_delta_ci95"], 2, signed=True),
        collapsed or with_interval(row["is_mean"], row["is_ci95"], 2),
        number(row["speedup_theoretical"], 2, "x"),
        number(row["speedup_b1"], 2, "x"),
        number(row["speedup_b16"], 2, "x"),
        count,
        MISSING if unknown else escape(_VARIES.get(str(row["varies"]), row["varies"])),
        escape(row["status"]),
        escape(row["reason"]) or "",
    ]


def number(value: float, digits: int, unit: str = "", *, signed: bool = False) -> str:
    """``value`` with ``digits`` decimals, or an em dash."""
    if value is None or math.isnan(value):
        return MISSING
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "−") + unit


def with_interval(mean: float, half: float, digits: int, *, signed: bool = False) -> str:
    """``12.34 ± 0.56``; without an interval (one seed) ``12.34 (one seed)``."""
    text = number(mean, digits, signed=signed)
    if text == MISSING:
        return text
    return f"{text} (one seed)" if math.isnan(half) else f"{text} ± {half:.{digits}f}"


def with_ratio(value: float, ratio: float, scale: float, unit: str) -> str:
    """``0.29 (3.4x)``: the value in units of ``scale`` and how many times smaller than dense it is."""
    if math.isnan(value):
        return MISSING
    text = f"{value / scale:.3g}{unit}"
    return text if math.isnan(ratio) else f"{text} ({ratio:.1f}x)"


def macs(value: float, ratio: float) -> str:
    """MACs with their prefix, ``3.97G (14.3x)``."""
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return with_ratio(value, ratio, scale, prefix)
    return with_ratio(value, ratio, 1, "")


def _is_number(cell: str) -> bool:
    return cell == MISSING or bool(re.match(r"[+−]?\d", cell)) or cell.startswith("collapsed")
