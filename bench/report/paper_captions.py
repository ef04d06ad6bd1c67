"""What the caption of a paper table has to say: what was judged, n, what varied, what is bold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.report.best import Best
from bench.report.papertable import MASKED, Line, join
from bench.tables.claim import BEST
from bench.tables.latency import NOT_SEPARABLE, timing_noise
from bench.tables.lead import Judge
from bench.tables.naming import DENSE
from bench.tables.summary import SHOWN_BATCHES
from bench.tasks import Quantity

Row = dict[str, Any]


def setting(rows: Sequence[Row], keys: Sequence[str], judge: Judge | None, images: float) -> str:
    """What is the same in every row, what judged, N (``images``), n, what the seeds vary, and what ± and parentheses
    are.
    """
    constant = [f"{each} {rows[0][each]}" for each in keys if len({row[each] for row in rows}) == 1]
    words = "; ".join([*([join(constant)] if constant else []), *_judge(judge, images), _seeds(rows, judge)])
    return f"{words[:1].upper()}{words[1:]}; in parentheses dense / pruned."


def _judge(judge: Judge | None, images: float) -> list[str]:
    if not judge:
        return []
    name = judge.metric.replace(judge.quantity.name, judge.quantity.title, 1)
    return [name + ("" if math.isnan(images) else f" at N = {images:,.0f}")]


def _seeds(rows: Sequence[Row], judge: Judge | None) -> str:
    shown = [row for row in rows if row["n"] > 0]
    mean = f"{judge.quantity.name}_mean" if judge else ""
    counts = sorted({int(row["n"]) for row in shown if not math.isnan(row.get(mean, 0.0))})
    if not counts:
        return "no row has a number"
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    spread = "one seed (n = 1): no intervals; it varies"
    if counts[-1] > 1:
        spread = f"mean over n = {n} seeds ± half width of its 95 % interval; seeds vary"
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


def cheapest_rule(found: Sequence[Best]) -> list[str]:
    """What bold says in a column of costs, or why there is none."""
    few = any(each.too_few_seeds for each in found)
    if any(each.rows for each in found):
        rule = "Bold: not separable from the cheapest of its group (paired t tests of log cost, Holm-corrected at 5 %)"
        return [rule + ("; nothing is bold in groups with fewer than three shared seeds." if few else ".")]
    return ["Nothing is bold: with fewer than three shared seeds nothing can be told apart."] if few else []


def claims_rule(reference: str, quantity: Quantity, *, bold: bool) -> list[str]:
    """What the verdicts against the reference are, and what bold says in the column of quality."""
    test = (
        f"differences of {quantity.tested} at the same level, image by image and over the seeds, corrected at 5 % over "
        "each workload, checkpoint and recovery"
    )
    verdicts = f"{quantity.title} vs. {reference}: {test}; n.s.: not separable"
    better = {"lower": "lower", "higher": "higher"}[quantity.direction]
    if reference == DENSE:
        return [f"{verdicts}. Bold: shown to be {better} than dense, in groups where none is what is not separable."]
    if not bold:
        return [f"{verdicts}. Nothing is bold: no comparison could be tested."]
    if reference == BEST:
        return [f"{verdicts}. Bold: may be the best of its level."]
    return [
        f"{verdicts}. Bold: shown to be {better} than {reference}, in groups where none is {reference} and what is not "
        "separable from it."
    ]


def masks(lines: Sequence[Line]) -> list[str]:
    """What the mark behind a name says, where there is one."""
    if not any(line.masked for line in lines):
        return []
    return [f"{MASKED}: masked, so dense kernels still execute every MAC: sizes and MACs are theoretical."]


def timing(rows: Sequence[Row], latency: pd.DataFrame) -> list[str]:
    """On what the speed-up was measured, where it was, and which is none."""
    settings = sorted({str(row["latency_setting"]) for row in rows if isinstance(row["latency_setting"], str)})
    if settings in ([], [""]):
        return []
    noise = timing_noise(latency)
    none = f"{NOT_SEPARABLE.capitalize()}: the interval holds 1, or the speed-up is within the timing's own noise"
    marked = any(row[f"speedup_b{batch}_verdict"] == NOT_SEPARABLE for row in rows for batch in SHOWN_BATCHES)
    return [
        f"Speed-up measured on {'; '.join(settings)}, with its 95 % interval within one process"
        + (f"; {noise}." if noise else "."),
        *([f"{none}."] if marked else []),
    ]


def same_network(shown: str, latency: pd.DataFrame) -> list[str]:
    """What ``shown`` (``1.00x``, ``as dense``; empty: nowhere) stands for, and how much the timing is worth."""
    noise = timing_noise(latency)
    if not shown:
        return []
    return [f"{shown}: the dense architecture, so there is nothing to measure" + (f" ({noise})." if noise else ".")]
