"""Tables as Markdown, safe for whatever a name contains."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.tables.lead import (
    beside_of,
    family_of,
    judge_by,
    lead_of,
    metric_in,
    power_for,
    power_in,
    scaled,
    task_of,
    times_ten,
)
from bench.tables.naming import main_metric
from bench.tables.tidy import rows_of
from bench.tasks import Quantity, quantity_of

MISSING = "—"

MOST_PLACES = 8
"""Decimals of a small value at most."""

_VARIES = {"": "nothing (exact)", "eval": "eval (latents only)"}


def one_line(text: object) -> str:
    """``text`` as one line: what cannot be printed and white space become single blanks."""
    return re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in str(text))).strip()


def escape(text: object) -> str:
    """``text`` as one line of Markdown that shows exactly its characters: no HTML, no links, no new table
    cell.
    """
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*|~])", r"\\\1", line)
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    return line.replace("](", "]\\(").replace("][", "]\\[").replace("://", ":&#8203;//")


def numeric(headers: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[bool]:
    """Which columns are set as numbers, at the right: all but the first ``left`` and those with words."""
    return [index >= left and all(_is_number(row[index]) for row in rows) for index in range(len(headers))]


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A pipe table of cells that are already escaped; the first ``left`` columns and words align left,
    numbers right.
    """
    if not rows:
        return "*no rows*"
    right = numeric(headers, rows, left)
    lines = [headers, *rows]
    widths = [max(len(headers[index]) + 2, *(len(row[index]) for row in rows)) for index in range(len(headers))]
    formats = [f"{{:{'>' if at_right else '<'}{width}}}" for at_right, width in zip(right, widths, strict=True)]
    pattern = f"| {' | '.join(formats)} |"
    rules = (
        "-" * (w + 1) + ":" if at_right else ":" + "-" * (w + 1) for at_right, w in zip(right, widths, strict=True)
    )
    shown = [pattern.format(*line) for line in lines]
    return "\n".join([shown[0], f"|{'|'.join(rules)}|", *shown[1:]])


def escaped_table(headers: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """`markdown_table` of plain cells."""
    return markdown_table([escape(name) for name in headers], [[escape(cell) for cell in row] for row in rows], left)


def summary_text(summary: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the main table (of one workload and checkpoint) from `summarise`'s numbers: units, ratios,
    intervals.
    """
    rows = rows_of(summary)
    lead, beside = lead_of(rows), beside_of(rows)
    power = power_in(rows, lead)
    judges = []
    if lead:
        judges += [
            " ".join(filter(None, (metric_in(rows, lead), times_ten(power), lead.arrow))),
            "difference to dense",
            "loses at most",
        ]
    judges += [f"{metric_in(rows, quantity)} {quantity.arrow}" for quantity in beside]
    headers = [
        "strategy", "level", "recovery", "achieved sparsity", "params (M) ↓", "non-zero (M) ↓",
        "MACs executed ↓", "MACs effective ↓", *judges, "speed-up theoretical", "measured, batch 1",
        "measured, batch 16", "n", "varies", "status", "reason",
    ]  # fmt: skip
    extra = ["target"] if summary["target"].nunique() > 1 else []
    table = [[*_cells(row, lead, power, beside), *(str(row[name]) for name in extra)] for row in rows]
    return [*headers, *extra], table


def other_metrics_text(aggregated: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the other stochastic metrics of one workload and checkpoint: all that the main table has no
    column for.

    One column for each metric, mean ± half width, in its unit; no rows where there is no such metric.
    """
    measured, task = aggregated["metric"].tolist(), task_of(aggregated)
    judge = judge_by(task, measured)
    main = {judge.metric if judge else None, *(main_metric(measured, name) for name in task.beside)}
    other = aggregated[
        (aggregated["kind"] == "stochastic") & ~aggregated["metric"].isin([name for name in main if name])
    ]
    metrics = list(dict.fromkeys(other["metric"]))
    quantities = {name: quantity_of(family_of(str(name))) for name in metrics}
    powers = {name: power_for(quantities[name], group["mean"]) for name, group in other.groupby("metric")}
    table: dict[tuple[str, ...], dict[str, str]] = {}
    names = ["strategy", "level", "recovery", *(["target"] if aggregated["target"].nunique() > 1 else [])]
    arrows = {"lower": " ↓", "higher": " ↑"}
    headers = {}
    for row in rows_of(other):
        key = tuple(str(row[name]) for name in names)
        power, digits = powers[row["metric"]], quantities[row["metric"]].decimals
        mean, half = scaled(row, ("finite_mean", "finite_ci95"), power)
        shown = with_interval(mean, half, seen_places(mean, digits))
        table.setdefault(key, {})[row["metric"]] = with_collapse(shown, str(row["collapsed"]))
        unit = f" ({row['unit']})" if row["unit"] else ""
        times = f" {times_ten(power)}" if power else ""
        headers[row["metric"]] = row["metric"] + times + unit + arrows.get(row["direction"], "")
    rows = [[*key, *(values.get(metric, MISSING) for metric in metrics)] for key, values in table.items()]
    return [*names, *(headers[metric] for metric in metrics)], rows


def _cells(row: dict[str, Any], lead: Quantity | None, power: int, beside: Sequence[Quantity]) -> list[str]:
    quality = []
    if lead:
        quality = [judged_text(row, lead, power), difference_text(row, lead, power), bound_text(row, lead, power)]
    quality += [judged_text(row, other) for other in beside]
    counted = row["finite_n"]
    count = f"{counted:.0f}" if counted == row["seeds"] else f"{counted:.0f} of {row['seeds']:.0f}"
    unknown = row["status"] in ("not-applicable", "infeasible")
    return [
        str(row["strategy"]),
        str(row["level"]),
        str(row["recovery"]),
        number(row["achieved_params"], 3),
        with_ratio(row["params"], row["params_ratio"], 1e6, ""),
        with_ratio(row["params_nonzero"], row["params_nonzero_ratio"], 1e6, ""),
        macs(row["macs_dense"], row["macs_dense_ratio"]),
        macs(row["macs_effective"], row["speedup_theoretical"]),
        *quality,
        number(row["speedup_theoretical"], 2, "x"),
        number(row["speedup_b1"], 2, "x"),
        number(row["speedup_b16"], 2, "x"),
        count,
        MISSING if unknown else _VARIES.get(str(row["varies"]), str(row["varies"])),
        str(row["status"]),
        str(row["reason"]),
    ]


def number(value: float, digits: int, unit: str = "", *, signed: bool = False) -> str:
    """``value`` with ``digits`` decimals, or an em dash."""
    if value is None or math.isnan(value):
        return MISSING
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "−") + unit


def with_interval(mean: float, half: float, digits: int, *, signed: bool = False) -> str:
    """``12.34 ± 0.56``; without an interval (one seed) ``12.34 (one seed)``. A small interval brings more digits."""
    places = places_for(half, digits)
    text = number(mean, places, signed=signed)
    if text == MISSING:
        return text
    return f"{text} (one seed)" if math.isnan(half) else f"{text} ± {half_text(half, places)}"


def judged_text(row: Mapping[str, Any], quantity: Quantity, power: int = 0) -> str:
    """What a row of `summarise` has of a quantity: its mean over every seed with a value; where some of them collapsed
    that is said behind it, ``1879.20 ± 40.10, collapsed 2/3``, and where none has a value it is all that is said.
    """
    names = (f"{quantity.name}_finite_mean", f"{quantity.name}_finite_ci95")
    mean, half = scaled(row, names, power)
    return with_collapse(with_interval(mean, half, seen_places(mean, quantity.decimals)), str(row["collapsed"]))


def difference_text(row: Mapping[str, Any], lead: Quantity, power: int = 0) -> str:
    """The difference to dense of a row of `summarise`, over the same seeds, with the interval of its claim:
    ``+1.98 (−1.66 to 6.34)``; ends of 0 say that only the direction is shown."""
    mean = float(row[f"{lead.name}_finite_delta_mean"]) * 10.0**power
    low, high = (float(row[name]) * 10.0**power for name in ("delta_low", "delta_high"))
    places = places_for(high - low, seen_places(float(row[f"{lead.name}_finite_mean"]) * 10.0**power, lead.decimals))
    shown = number(mean, places, signed=True)
    if shown == MISSING or math.isnan(low) or math.isnan(high):
        return shown
    ends = [number(end, places, signed=True) for end in (low, high)]
    return f"{shown} ({ends[0]} to {ends[1]})"


VERDICTS = {"holds": "as good as dense", "identical": "identical", "worse": "worse", "not separable": "not separable"}
"""What a claim against dense is called in a cell."""


def bound_text(row: Mapping[str, Any], lead: Quantity, power: int = 0) -> str:
    """What a row of `summarise` loses at most against dense, and the verdict: ``0.60, not separable``."""
    verdict = str(row["against_dense"])
    bound = number(*bound_places(row, lead, power))
    return (
        ", ".join(part for part in (bound if bound != MISSING else "", VERDICTS.get(verdict, verdict)) if part)
        or MISSING
    )


def bound_places(row: Mapping[str, Any], lead: Quantity, power: int) -> tuple[float, int]:
    """The bound and its decimals."""
    value = float(row["loses_at_most"]) * 10.0**power
    return value, seen_places(value, lead.decimals)


def with_collapse(shown: str, collapsed: str) -> str:
    """A number with what is to be known of it; without a number that alone."""
    return ", ".join(part for part in (shown, collapsed) if part and not (collapsed and part == MISSING))


def seen_places(value: float, digits: int) -> int:
    """Decimals for ``value`` and what belongs to it: ``digits``, or more where three digits of a value below 1 need
    them, for a judge may have any scale. At most `MOST_PLACES`.
    """
    if not math.isfinite(value) or value == 0 or abs(value) >= 1:
        return digits
    return max(digits, min(2 - math.floor(math.log10(abs(value))), MOST_PLACES))


def places_for(half: float, digits: int) -> int:
    """Decimals for a value: ``digits``, or up to two more where only these show its interval."""
    if not 0 < half < math.inf:
        return digits
    wanted = -math.floor(math.log10(half))
    return max(digits, wanted) if wanted <= digits + 2 else digits


def half_text(half: float, places: int) -> str:
    """``0.012``; ``<0.01`` where these decimals cannot show it; ``0`` where there is exactly no spread."""
    if half == 0:
        return "0"
    text = f"{half:.{places}f}"
    return f"<{10.0**-places:.{places}f}" if float(text) == 0 else text


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
