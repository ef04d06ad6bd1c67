"""What pruning and recovering cost on the machine that did it: time, training, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import pandas as pd

from bench.records import Record
from bench.report.blocks import Grid, Section, grid, section
from bench.tables.places import place_names
from bench.tables.text import MISSING, macs

HEADERS = (
    "workload", "recovery", "cells", "prune (s)", "recover (s)", "measure (s)", "training steps", "training MACs",
    "peak memory (MiB)",
)  # fmt: skip
NAME = "What pruning cost"


def cost_section(records: Sequence[Record], latency: pd.DataFrame) -> Section:
    """Seconds, training and memory of a cell, for each workload, checkpoint and recovery, and what the memory is."""
    names = place_names((record.cell.workload, record.cell.checkpoint) for record in records)
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.numbers:
            place = names[record.cell.workload, record.cell.checkpoint]
            groups.setdefault((place, record.cell.after), []).append(record)
    if not groups:
        return section(NAME, "No cell has a cost.")
    rows = [[*key, *_row(members)] for key, members in sorted(groups.items())]
    text = (
        "A cell on the machine that made it: medians over the cells, the highest for memory. On the CPU peak memory is "
        "the most that the worker process had resident so far, which depends on what it did before: an upper bound for "
        "the machine that is needed, no property of a network."
    )
    return section(NAME, text, grid(HEADERS, rows, left=2, name=NAME), _on_the_device(latency))


def _row(records: Sequence[Record]) -> list[str]:
    costs = [record.cost for record in records]
    seconds = [median(getattr(cost, f"{name}_seconds") for cost in costs) for name in ("prune", "recover", "measure")]
    training = median(cost.training_macs for cost in costs)
    memory = max(cost.peak_memory_bytes for cost in costs)
    return [
        str(len(costs)),
        *(f"{value:.2f}" for value in seconds),
        f"{median(cost.train_steps for cost in costs):.0f}",
        macs(training, math.nan) if training else "0",
        f"{memory / 2**20:.0f}" if memory else MISSING,
    ]


def _on_the_device(latency: pd.DataFrame) -> Grid | str:
    """The memory of a call, where the device counts it."""
    known = latency[latency["peak_memory_bytes"].notna() & (latency["latency_status"] == "ok")]
    if known.empty:
        return "Of a single call the memory was not measured: a CPU has no counter of its own for it."
    headers = ["device", "batch", "pruned networks", "peak memory of a call (MiB)"]
    rows = [
        [*key, str(len(group)), _range([float(value) / 2**20 for value in group["peak_memory_bytes"]])]
        for key, group in known.groupby(["device_model", "batch"], sort=True)
    ]
    return grid(headers, rows, name=NAME)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"
