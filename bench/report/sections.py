"""The sections of a report that describe: what was asked, how it was measured, what is missing, what columns mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.records import Failure, LatencyFailure
from bench.report.answer import judged_by
from bench.report.blocks import (
    Code,
    Grid,
    Inline,
    Paragraph,
    Preformatted,
    Section,
    Strong,
    coded,
    grid,
    items,
    line,
    listed,
    section,
)
from bench.tables.claim import BEST, LEVEL
from bench.tables.lead import family_of, tasks_of
from bench.tables.naming import DENSE
from bench.tables.text import MISSING
from bench.tasks import known_quantity

CELL = ["workload", "checkpoint", "strategy", "target", "level", "recovery", "seed"]
_BEFORE = {
    "strategy, level, recovery": "how and how much was pruned (the sparsity asked for, or the strategy's own "
    "knob), and what was done to the network afterwards; dense goes through the same recovery",
    "achieved sparsity": "share of the convolution and linear weights that was removed; mean over the seeds",
    "params (M)": "parameters that the network stores, in millions, and how many times fewer than dense",
    "non-zero (M)": "parameters that are not zero; differs from `params` for masks",
    "MACs executed": "multiply-accumulates of one image that the dense kernels run (1 MAC = 2 FLOPs)",
    "MACs effective": "multiply-accumulates without those by a zero weight: theoretical for masks",
}
_DIFFERENCE = {
    "difference to dense": "mean of the differences to dense with the same recovery and seed (the same "
    "inputs), ± half width of the 95 % interval, from the differences image by image and seed by seed",
}
_BOUND = {
    "loses at most": "the largest loss against dense that the data allow, for all rows of the table together, and the "
    "verdict: `as good as dense` (the loss is shown to be within the margin), `worse` (a loss is shown), `not separable` "
    "(neither)",
}
_AFTER = {
    "speed-up theoretical": "dense MACs / effective MACs",
    "measured, batch 1 and 16": "dense time / pruned time, timed in turn in one process; 1.00x for masks, "
    "which run the dense architecture: the same network is not compared with itself",
    "n": "seeds that the mean is over",
    "varies": "the random streams that the interval is over: `eval` the inputs of the generator, `calibrate` "
    "those of BN recalibration, `prune` the pruning itself, `train` the training after it. `eval` alone is a "
    "spread over latents only: it says nothing about other prunings or trainings",
    "status, reason": "`ok`; `collapsed k/n` (k of n seeds give constant or broken images: no mean is "
    "shown); `not-applicable`; `infeasible`",
}
_LAST = {MISSING: "no number; the reason stands in the last column"}


def question(experiment: Mapping[str, Any], run: str, frame: pd.DataFrame, failures: int) -> Section:
    """What was asked: the axes of the sweep as they stand in the records, and the experiment as it was
    understood.
    """
    cells = frame.drop_duplicates(CELL)
    axes: list[Inline] = [line("run: ", Code(run))]
    for title, column in {
        "workloads": "workload", "checkpoints": "checkpoint", "strategies": "strategy", "levels": "level",
        "matched on": "target", "recovery": "recovery", "seeds": "seed",
    }.items():  # fmt: skip
        pruned = cells if column != "level" else cells[cells["strategy"] != DENSE]
        values = list(dict.fromkeys(str(value) for value in sorted(pruned[column].unique())))
        axes.append(line(f"{title}: ", listed([(value,) for value in values]) or "none"))
    counts = cells["status"].value_counts().sort_index()
    states = [f"{count} {status}" for status, count in counts.items()] + ([f"{failures} failed"] if failures else [])
    axes.append((f"cells: {len(cells)} with a record ({', '.join(states) or 'none'})",))
    return section("What was asked", items(axes))


def experiment_section(experiment: Mapping[str, Any]) -> Section:
    """The whole experiment as it was understood, for whoever wants to run it again."""
    return section("Experiment", Preformatted(json.dumps(experiment, indent=1, default=str), "json"))


def method(frame: pd.DataFrame, latency: pd.DataFrame, reference: str) -> Section:
    """How each number was taken: metric versions, N, kinds, what the seeds vary, and what claims are corrected over."""
    names = [*_places(frame), "metric", "version", "num_images", "unit", "direction", "kind"]
    numbers = frame.loc[frame["metric"] != "", names].drop_duplicates()
    rows = [
        [row[name] if name != "num_images" else _count(row[name]) for name in names]
        for row in numbers.sort_values([*_places(frame), "metric"]).to_dict("records")
    ]
    spread = (
        "Every seed feeds independent random streams. The generator's inputs of one seed are the same for every "
        "strategy and level, so differences are paired, image by image. The error that the images bring is known "
        "in every cell from what each of them contributes to the number; what calibration, pruning and training "
        "bring beside it is seen in the spread over the seeds, which comparisons of one kind share. Where nothing"
        " is known of the images, intervals are t-intervals over the seeds, and with one seed there is none. A "
        "number of one version is never shown beside one of another."
    )
    known = (known_quantity(family) for family in dict.fromkeys(family_of(name) for name in frame["metric"]))
    cautions = " ".join(dict.fromkeys(quantity.caution for quantity in known if quantity and quantity.caution))
    table = grid(names, rows, name="Metrics and their versions") if rows else None
    settings = latency[["device", "device_model", "backend", "dtype", "threads", "batch", "calls_per_block"]]
    timed = list(settings.drop_duplicates().itertuples(index=False))
    latency_text = "Latency: dense and pruned in alternating blocks of calls in one process, each architecture once."
    warnings: list[Inline] = [
        (
            f"{len(group)} latency measurements are {status} and left out: "
            + "; ".join(sorted({f"{row['backend']}: {row['latency_reason']}" for row in group.to_dict("records")})),
        )
        for status, group in latency[latency["latency_status"] != "ok"].groupby("latency_status", sort=True)
    ]
    return section(
        "Method",
        spread,
        Paragraph(_families(frame, reference)) if judged_by(frame) else None,
        cautions,
        table or "No numbers were recorded.",
        latency_text if timed else "Latency was not measured in this run.",
        grid(list(settings.columns), timed, name="Settings of the latency") if timed else None,
        items(warnings),
    )


def _families(frame: pd.DataFrame, reference: str) -> Inline:
    """Over which comparisons the claims are corrected."""
    of = " or ".join(quantity.tested for quantity in judged_by(frame))
    return line(
        f"Claims are of differences of {of}, in two families for each workload, checkpoint and recovery, each with an "
        f"error of {LEVEL:.0%} of its own: every strategy against ",
        (f"the {BEST} of its level",) if reference == BEST else Code(reference),
        " at its own level, and every pruned network against dense of the same recovery. A strategy is tested "
        "first, then its levels. The intervals beside the verdicts hold together and say the same: one without 0 "
        "stands beside a difference that is shown, and nowhere else. Page, Markdown, LaTeX and Python take their "
        "verdicts, and what is bold in a column of quality, from these; nothing else is tested but the costs at "
        "equal quality, within the groups of their table.",
    )


def environment_section(environment: Mapping[str, Any]) -> Section:
    """The environment as a two-column table, nested keys joined by dots."""
    rows = _flat(environment)
    table: Grid | str = grid(["what", "value"], rows, left=2, name="Environment") if rows else "Not recorded."
    return section("Environment", table)


def failures_section(failures: Sequence[Failure], timings: Sequence[LatencyFailure] = ()) -> Section:
    """Cells and timings that raised; tracebacks are in the run's ``failures/``."""
    if not failures and not timings:
        return section("Failures", "None.")
    several = len({f.cell.checkpoint for f in failures}) > 1
    rows = [
        [f.cell.label + (f", checkpoint {f.cell.checkpoint}" if several else ""), f.error, str(f.attempt)]
        for f in failures
    ]
    rows += [[f.label, f.error, str(f.attempt)] for f in timings]
    what = " and ".join(name for name, some in (("cells", failures), ("timings", timings)) if some)
    text = f"These {what} raised and are missing from every table; the next run tries them again."
    table = grid(["what", "error", "attempts"], rows, left=3, name="Failed cells and timings")
    return section("Failures", text, table)


def exclusions_section(frame: pd.DataFrame, excluded: Sequence[str]) -> Section:
    """What has no numbers, and why: not applicable, infeasible, collapsed, and left out by the experiment."""
    odd = frame[frame["status"] != "ok"].drop_duplicates(CELL)
    matched = ["target"] if odd["target"].nunique() > 1 else []
    keys = [*_places(frame), "strategy", *matched, "level", "recovery", "status", "reason"]
    rows = [
        [*key, ", ".join(str(seed) for seed in sorted(group["seed"]))] for key, group in odd.groupby(keys, sort=True)
    ]
    table = grid([*keys, "seeds"], rows, left=len(keys) + 1, name="Excluded cells") if rows else None
    nothing = "" if rows or excluded else "None: every cell has its numbers."
    return section("Exclusions", table, items((text,) for text in excluded), nothing)


def _places(frame: pd.DataFrame) -> list[str]:
    """The columns that say where a row belongs: with the checkpoint where a workload has several."""
    several = frame.groupby("workload")["checkpoint"].nunique().max() > 1
    return ["workload", "checkpoint"] if several else ["workload"]


def columns_of(frame: pd.DataFrame, of_dense: frozenset[str] = frozenset()) -> dict[str, Inline]:
    """The columns of the main table that this run has, each with what it is.

    Args:
        of_dense: the workloads whose reference is what dense itself makes.
    """
    families = {family_of(name) for name in frame["metric"]}
    leaders: dict[str, str] = {}
    beside: dict[str, str] = {}
    also: dict[str, str] = {}
    for task in tasks_of(frame):
        for names, found in ((task.leaders, leaders), (task.beside, beside)):
            for quantity in map(task.quantity, names):
                if quantity.name in families:
                    found[f"{quantity.name}[...]"] = quantity.about or f"{quantity.summary}, {quantity.better}"
        also |= {names: text for names, text in task.also if families & set(map(family_of, names.split(", ")))}
        mine = set(frame.loc[frame["task"] == task.name, "workload"])
        for found in (leaders, beside, also):
            for name in found.keys() & task.of_dense.keys() if mine & of_dense else ():
                other = f"{found[name]}. Of {', '.join(sorted(mine & of_dense))}: "
                found[name] = ("" if mine <= of_dense else other) + task.of_dense[name]
    said = _BEFORE | leaders | _DIFFERENCE | _BOUND | beside | _AFTER | also | _LAST
    return {name: coded(text) for name, text in said.items()}


def columns_section(columns: Mapping[str, Inline]) -> Section:
    """What each column of the main table is."""
    return section(
        "How to read the columns", items(line(Strong((name,)), ": ", text) for name, text in columns.items())
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, Mapping):
            found += _flat(item, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", ", ".join(map(str, item)) if isinstance(item, list) else str(item)))
    return found


def _count(value: float) -> str:
    return MISSING if pd.isna(value) else str(int(value))
