"""What the caption of a paper table has to say: what was judged, n, what varied, what is bold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.report.best import Best
from bench.report.papertable import MASKED, Line, join
from bench.tables.latency import timing_noise
from bench.tables.lead import lead_of, title_of

Row = dict[str, Any]


def setting(rows: Sequence[Row], keys: Sequence[str]) -> str:
    """What is the same in every row, what judged, N, n, what the seeds vary, and what ± and parentheses are."""
    constant = [f"{each} {rows[0][each]}" for each in keys if len({row[each] for row in rows}) == 1]
    first = rows[0]
    lead = lead_of(rows) if "fid_num_images" in first else "fid"
    words = "; ".join([*([join(constant)] if constant else []), *_judge(first, lead), _seeds(rows, lead)])
    return f"{words[:1].upper()}{words[1:]}; in parentheses dense / pruned."


def _judge(row: Row, lead: str) -> list[str]:
    if not lead:
        return []
    images = float(row[f"{lead}_num_images"] if f"{lead}_num_images" in row else row["num_images"])
    name = row[f"{lead}_metric"].replace(lead, title_of(lead), 1)
    return [name + ("" if math.isnan(images) else f" at N = {images:,.0f}")]


def _seeds(rows: Sequence[Row], lead: str) -> str:
    shown = [row for row in rows if row["n"] > 0]
    counts = sorted({int(row["n"]) for row in shown if not math.isnan(row.get(f"{lead}_mean", 0.0))})
    if not counts:
        return "no row has a number"
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    spread = "one seed (n = 1): no intervals; it varies"
    if counts[-1] > 1:
        spread = f"mean ± half width of the 95 % t-interval over n = {n} seeds, which vary"
    streams: dict[str, list[str]] = {}
    for row in shown:
        names = streams.setdefault(row["varies"] or "nothing", [])
        if row["strategy"] not in names:
            names.append(row["strategy"])
    common, *others = sorted(streams, key=lambda each: -len(streams[each]))
    latents = " (latents only)" if common == "eval" else ""
    return f"{spread} {common}{latents}" + "".join(f", {each} for {_some(streams[each])}" for each in others)


def _some(names: Sequence[str]) -> str:
    return join(names) if len(names) <= 4 else f"{len(names)} strategies"


def bold_rule(found: Sequence[Best], best: str, tested: str) -> list[str]:
    """What bold says, or why there is none; ``best`` is what rows were tested against, on ``tested``."""
    few = any(each.too_few_seeds for each in found)
    if any(each.rows for each in found):
        rule = f"Bold: not separable from {best} (paired t tests of {tested}, Holm-corrected at 5 %)"
        return [rule + ("; nothing is bold in groups with fewer than three shared seeds." if few else ".")]
    return ["Nothing is bold: with fewer than three shared seeds nothing can be told apart."] if few else []


def masks(lines: Sequence[Line]) -> list[str]:
    """What the mark behind a name says, where there is one."""
    if not any(line.masked for line in lines):
        return []
    return [f"{MASKED}: masked, so dense kernels still execute every MAC: sizes and MACs are theoretical."]


def against(reference: str | None, lines: Sequence[Line], judge: str) -> list[str]:
    """What the comparison with the reference is, where there is one."""
    if not reference or not any(cell.text == "ref." for line in lines for cell in line.cells):
        return []
    test = f"paired t tests of {judge} at the same level, Holm-corrected over the run"
    return [f"{judge} vs. {reference}: {test}; n.s.: not separable."]


def timing(rows: Sequence[Row]) -> list[str]:
    """On what the speed-up was measured, where it was."""
    settings = sorted({str(row["latency_setting"]) for row in rows if isinstance(row["latency_setting"], str)})
    if settings in ([], [""]):
        return []
    return [f"Speed-up measured on {'; '.join(settings)}, with its 95 % interval within one process."]


def same_network(shown: str, latency: pd.DataFrame) -> list[str]:
    """What ``shown`` (``1.00x``, ``as dense``; empty: nowhere) stands for, and how much the timing is worth."""
    noise = timing_noise(latency)
    if not shown:
        return []
    return [f"{shown}: the dense architecture, so there is nothing to measure" + (f" ({noise})." if noise else ".")]
