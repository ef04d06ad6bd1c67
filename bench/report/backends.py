"""Speed-up by backend: the same pruned networks, run by different libraries."""

from __future__ import annotations

import math

import pandas as pd

from bench.report.blocks import Grid, Inline, Section, grid, items, section
from bench.tables.backends import place
from bench.tables.latency import NOT_SEPARABLE
from bench.tables.places import names_in
from bench.tables.text import MISSING
from bench.tables.tidy import rows_of

TITLE = "Theoretical and realised speed-up by backend"
NAME = "By backend"


def backends_section(table: pd.DataFrame) -> Section:
    """Theoretical and measured speed-up side by side, a column for each backend; empty with less than two backends.

    ``table`` is that of `bench.tables.backends.by_backend`.
    """
    if table["backend"].nunique() < 2:
        return Section(TITLE, ())
    ways = list(table[["device", "backend"]].drop_duplicates().itertuples(index=False, name=None))
    ways.sort(key=lambda way: (way[0], place(way[1])))
    several = len({device for device, _ in ways}) > 1
    names = [f"{backend} ({device})" if several else str(backend) for device, backend in ways]
    places, matched = names_in(table), ["target"] if table["target"].nunique() > 1 else []
    lines: dict[tuple[object, ...], dict[tuple[str, str], dict[str, object]]] = {}
    for row in rows_of(table):
        network = (places[row["workload"], row["checkpoint"]], row["strategy"], *(row[name] for name in matched))
        key = (row["speedup_theoretical"], *network, row["level"], int(row["batch"]))
        lines.setdefault(key, {})[(row["device"], row["backend"])] = row
    body = [
        [
            *key[1:],
            _times(key[0]),
            *(_measured(found[way]) if way in found else MISSING for way in ways),
        ]
        for key, found in lines.items()
    ]
    text = (
        "Dense time / pruned time, both through the same backend, with the 95 % interval within the one process that "
        "measured it (not separable from 1: it holds 1, or dense against itself is as far off), "
        "and milliseconds a call of the pruned network: a backend that is slow for dense can show a large "
        "ratio. Theoretical: dense MACs / effective MACs. Before a network is timed through another backend than "
        "eager, its output is compared with eager PyTorch's in float32."
    )
    return section(
        TITLE,
        text,
        _exceptions(table),
        grid(
            ["workload", "strategy", *matched, "level", "batch", "theoretical", *names],
            body,
            left=3 + len(matched),
            name=NAME,
        ),
        "Exporting and compiling, once for each network, is no part of these times:",
        _preparing(table),
        items(_without(table)),
    )


def _exceptions(table: pd.DataFrame) -> str:
    """Where the dense network does not run through the backend itself."""
    other = table[table["dense_backend"] != table["backend"]][["backend", "dense_backend"]].drop_duplicates()
    words = [f"under {row['backend']} dense runs {row['dense_backend']}, as it would without" for row in rows_of(other)]
    return "; ".join(words).capitalize() + "." if words else ""


def _preparing(table: pd.DataFrame) -> Grid:
    rows = []
    for backend in sorted(set(table["backend"]), key=place):
        group = table[table["backend"] == backend]
        medians = [group[f"prepare_{member}_seconds"].median() for member in ("dense", "pruned")]
        error = group["output_error"].max()
        seconds = [f"{value:.3g}" if math.isfinite(value) else MISSING for value in medians]
        rows.append([backend, *seconds, f"{error:.1e}" if math.isfinite(error) else MISSING])
    headers = ["backend", "seconds, dense", "seconds, pruned", "largest difference of an output"]
    return grid(headers, rows, name=NAME)


def _without(table: pd.DataFrame) -> list[Inline]:
    """What has no number, and why, each reason once."""
    missing = table[~table["status"].isin(["ok", "same-as-dense"])]
    reasons = {f"{row['backend']}, {row['workload']}: {row['status']}. {row['reason']}" for row in rows_of(missing)}
    return [(reason,) for reason in sorted(reasons)]


def _times(value: object) -> str:
    return f"{value:.2f}x" if isinstance(value, float) and math.isfinite(value) else MISSING


def _measured(row: dict[str, object]) -> str:
    shown = _times(row["speedup"])
    if shown == MISSING:
        return str(row["status"])
    if row["verdict"] == NOT_SEPARABLE:
        shown = NOT_SEPARABLE
    if row["speedup_low"] != row["speedup_high"]:
        shown += f" [{row['speedup_low']:.2f}, {row['speedup_high']:.2f}]"
    return f"{shown}, {row['pruned_ms']:.3g} ms"
