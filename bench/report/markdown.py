"""The sections of the Markdown report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.records import Failure, LatencyFailure
from bench.tables import escape, markdown_table
from bench.tables.lead import family_of
from bench.tables.naming import DENSE

COLUMNS = {
    "strategy, level, recovery": "how and how much was pruned (the sparsity asked for, or the strategy's own "
    "knob), and what was done to the network afterwards; dense goes through the same recovery",
    "achieved sparsity": "share of the convolution and linear weights that was removed; mean over the seeds",
    "params (M)": "parameters that the network stores, in millions, and how many times fewer than dense",
    "non-zero (M)": "parameters that are not zero; differs from `params` for masks",
    "MACs executed": "multiply-accumulates of one image that the dense kernels run (1 MAC = 2 FLOPs)",
    "MACs effective": "multiply-accumulates without those by a zero weight: theoretical for masks",
    "fid[...]": "Fréchet distance to the training images in the features of the network in brackets, lower "
    "is better; mean ± half width of the 95 % t-interval over the seeds. Comparable only with the same "
    "extractor, version and N",
    "difference to dense": "mean of the differences to dense with the same recovery and seed (the same "
    "inputs), ± half width of the 95 % t-interval",
    "is[...]": "Inception score in the classes of that network, higher is better",
    "speed-up theoretical": "dense MACs / effective MACs",
    "kid[...]": "kernel distance to training images in the features of that network, lower is better; unbiased, so "
    "about 0 for a perfect generator and then below 0 half of the time; shown times a power of ten",
    "measured, batch 1 and 16": "dense time / pruned time, timed in turn in one process; 1.00x for masks, "
    "which run the dense architecture: the same network is not compared with itself",
    "n": "seeds that the mean is over",
    "varies": "the random streams that the interval is over: `eval` the inputs of the generator, `calibrate` "
    "those of BN recalibration, `prune` the pruning itself, `train` the training after it. `eval` alone is a "
    "spread over latents only: it says nothing about other prunings or trainings",
    "status, reason": "`ok`; `collapsed k/n` (k of n seeds give constant or broken images: no mean is "
    "shown); `not-applicable`; `infeasible`",
    "fid-held-out[...], fid-train-subset[...]": "FID to images that nothing was trained on, and to an "
    "equally large subset of the training images: only the gap between these two says something about "
    "memorising",
    "psnr-to-dense, feature-distance-to-dense[...]": "how far the images are from those of dense "
    "(same recovery, same inputs): agreement, not quality",
    "—": "no number; the reason stands in the last column",
}


def section(title: str, *paragraphs: str) -> str:
    """A second-level section; empty paragraphs are left out."""
    return "\n\n".join([f"## {title}", *(text for text in paragraphs if text)]) + "\n"


def question(experiment: Mapping[str, Any], run: str, frame: pd.DataFrame, failures: int) -> str:
    """What was asked: the axes of the sweep as they stand in the records, and the experiment as it was
    understood.
    """
    cells = frame.drop_duplicates([name for name in frame.columns[:16] if name != "reason"])
    axes = [f"- run: `{escape(run)}`"]
    for title, column in {
        "workloads": "workload", "checkpoints": "checkpoint", "strategies": "strategy", "levels": "level",
        "matched on": "target", "recovery": "recovery", "seeds": "seed",
    }.items():  # fmt: skip
        pruned = cells if column != "level" else cells[cells["strategy"] != DENSE]
        values = list(dict.fromkeys(escape(value) for value in sorted(pruned[column].unique())))
        axes.append(f"- {title}: {', '.join(values) or 'none'}")
    counts = cells["status"].value_counts().sort_index()
    states = [f"{count} {status}" for status, count in counts.items()] + ([f"{failures} failed"] if failures else [])
    axes.append(f"- cells: {len(cells)} with a record ({', '.join(states) or 'none'})")
    return section("What was asked", "\n".join(axes))


def experiment_section(experiment: Mapping[str, Any]) -> str:
    """The whole experiment as it was understood, for whoever wants to run it again."""
    return section("Experiment", fenced(json.dumps(experiment, indent=1, default=str), "json"))


def method(frame: pd.DataFrame, latency: pd.DataFrame) -> str:
    """How each number was taken: metric versions, N, kinds, and what the seeds vary."""
    columns = ["metric", "version", "num_images", "unit", "direction", "kind"]
    numbers = frame.loc[frame["metric"] != "", ["workload", *columns]].drop_duplicates()
    rows = [
        [escape(row[name]) if name != "num_images" else _count(row[name]) for name in ["workload", *columns]]
        for row in numbers.sort_values(["workload", "metric"]).to_dict("records")
    ]
    spread = (
        "Every seed feeds independent random streams. The generator's inputs of one seed are the same for "
        "every strategy and level, so differences are paired. Intervals are t-intervals over the seeds; with "
        "one seed there is none. A number of one version is never shown beside one of another."
    )
    measured = {family_of(name) for name in frame["metric"]}
    floor = "Small N biases FID upwards, by an amount that depends on the model: compare within a column only."
    floor = floor if "fid" in measured else ""
    settings = latency[["device", "device_model", "backend", "dtype", "threads", "batch", "calls_per_block"]]
    timed = [[escape(value) for value in row] for row in settings.drop_duplicates().itertuples(index=False)]
    latency_text = (
        "Latency: dense and pruned in alternating blocks of calls in one process, each architecture once.\n\n"
        + markdown_table([escape(name) for name in settings.columns], timed)
        if timed
        else "Latency was not measured in this run."
    )
    warning = "\n".join(
        f"- {len(group)} latency measurements are {status} and left out: "
        + "; ".join(sorted({escape(f"{row['backend']}: {row['latency_reason']}") for row in group.to_dict("records")}))
        for status, group in latency[latency["latency_status"] != "ok"].groupby("latency_status", sort=True)
    )
    table = markdown_table(["workload", *columns], rows) if rows else "No numbers were recorded."
    return section("Method", spread, floor, table, latency_text, warning)


def environment_section(environment: Mapping[str, Any]) -> str:
    """The environment as a two-column table, nested keys joined by dots."""
    rows = [[escape(name), escape(value)] for name, value in _flat(environment)]
    return section("Environment", markdown_table(["what", "value"], rows, left=2) if rows else "Not recorded.")


def failures_section(failures: Sequence[Failure], timings: Sequence[LatencyFailure] = ()) -> str:
    """Cells and timings that raised; tracebacks are in the run's ``failures/``."""
    if not failures and not timings:
        return section("Failures", "None.")
    rows = [[escape(f.cell.label), escape(f.error), str(f.attempt)] for f in failures]
    rows += [[escape(f.label), escape(f.error), str(f.attempt)] for f in timings]
    what = " and ".join(name for name, some in (("cells", failures), ("timings", timings)) if some)
    text = f"These {what} raised and are missing from every table; the next run tries them again."
    return section("Failures", text, markdown_table(["what", "error", "attempts"], rows, left=3))


def exclusions_section(frame: pd.DataFrame, excluded: Sequence[str]) -> str:
    """What has no numbers, and why: not applicable, infeasible, collapsed, and left out by the experiment."""
    cell = ["workload", "checkpoint", "strategy", "target", "level", "recovery", "seed"]
    odd = frame[frame["status"] != "ok"].drop_duplicates(cell)
    keys = ["workload", "strategy", "level", "recovery", "status", "reason"]
    rows = [
        [*(escape(value) for value in key), ", ".join(str(seed) for seed in sorted(group["seed"]))]
        for key, group in odd.groupby(keys, sort=True)
    ]
    table = markdown_table([*keys, "seeds"], rows, left=7) if rows else ""
    left_out = "\n".join(f"- {escape(text)}" for text in excluded)
    nothing = "" if table or left_out else "None: every cell has its numbers."
    return section("Exclusions", table, left_out, nothing)


def columns_of(frame: pd.DataFrame) -> dict[str, str]:
    """The columns of the main table that this run has, each with what it is."""
    families = {family_of(name) for name in frame["metric"]}
    asked = {name: [family_of(each) for each in name.split(", ")] for name in COLUMNS if "[...]" in name}
    return {name: text for name, text in COLUMNS.items() if name not in asked or families & set(asked[name])}


def columns_section(frame: pd.DataFrame) -> str:
    """What each column of the main table is."""
    lines = (f"- **{name}**: {text}" for name, text in columns_of(frame).items())
    return section("How to read the columns", "\n".join(lines))


def fenced(text: str, language: str = "") -> str:
    """A code block that ``text`` cannot end."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, Mapping):
            found += _flat(item, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", ", ".join(map(str, item)) if isinstance(item, list) else str(item)))
    return found


def _count(value: float) -> str:
    return "—" if pd.isna(value) else str(int(value))
