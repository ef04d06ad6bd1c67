"""What the flags of records and the states of timings say to a reader: nothing that a number carries stays unsaid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from bench.records import LatencyFailure, Record
from bench.report.blocks import Code, Inline, line, listed
from bench.tables.latency import NOT_SEPARABLE, own_noise
from bench.tables.places import names_in, place_names
from bench.tasks import TASKS
from bench.tasks.base import DENSE_REFERENCE

COUNTERS = {
    "uncounted": "operators that nobody counts, so MACs, and the theoretical speed-up, are without them",
    "int8-products": "so many of the network's convolutions and matrix products are computed in 8 bits on this machine",
    "float-product": "products that the runtime has no 8-bit kernel for here: stored in 8 bits, multiplied in float32",
    "fvcore-unsupported": "operators that fvcore does not count, so its MACs, shown for comparison, are without them",
}
"""Flags of counting and of finishes, whatever the task: ``KIND:WHAT`` and what is said of them."""

STATES = {
    "invalid": "disturbed by other work on the machine, and left out; the next run takes them again",
    "refused": "refused, because the output differs from eager PyTorch's, and left out",
    "not-applicable": "not applicable: the backend does nothing for the network, or cannot take it",
    "unavailable": "not possible here: the machine lacks a package or a device",
}
"""A timing's status -> what became of it."""

MOST_NAMED = 4
"""Places that are named; more are counted."""


def flag_notes(records: Sequence[Record]) -> list[Inline]:
    """A sentence for every flag that a record with numbers carries: what it means, and how many cells have it."""
    flagged: dict[str, list[Record]] = {}
    measured = [record for record in records if record.numbers]
    for record in measured:
        for flag in dict.fromkeys(record.provenance.flags):
            flagged.setdefault(flag, []).append(record)
    names = place_names((record.cell.workload, record.cell.checkpoint) for record in records)
    return [*_counting(flagged, measured, names), *_others(flagged, measured, names)]


def timing_notes(latency: pd.DataFrame, failed: Sequence[LatencyFailure] = ()) -> list[Inline]:
    """The timing's own noise, and a sentence for every state of timings that gave no time, with how many of how many
    they are.
    """
    total = len(latency) + len(failed)
    notes: list[Inline] = []
    if noise := own_noise(latency):
        notes.append((f"Measured speed-ups: {noise}; a speed-up within it is marked “{NOT_SEPARABLE}”.",))
    names = names_in(latency)
    for status, group in latency[latency["latency_status"] != "ok"].groupby("latency_status", sort=True):
        pairs = group[["workload", "checkpoint"]].drop_duplicates().itertuples(index=False)
        places = _listed(names[str(workload), str(checkpoint)] for workload, checkpoint in pairs)
        notes.append(
            line(
                Code(str(status)), f" ({len(group)} of {_timings(total)}; {places}): {STATES.get(str(status), status)}."
            )
        )
    if failed:
        notes.append((f"{len(failed)} of {_timings(total)} failed; the next run tries them again.",))
    return notes


def of_dense(records: Iterable[Record]) -> frozenset[str]:
    """The workloads whose reference is what dense itself makes."""
    return frozenset(record.cell.workload for record in records if DENSE_REFERENCE in record.provenance.flags)


def _others(
    flagged: Mapping[str, list[Record]], measured: Sequence[Record], names: Mapping[tuple[str, str], str]
) -> list[Inline]:
    return [
        line(Code(flag), f" ({_which(mine, measured, names)}): {_meaning(flag, mine)}.")
        for flag, mine in sorted(flagged.items())
        if flag.partition(":")[0] not in COUNTERS
    ]


def _counting(
    flagged: Mapping[str, list[Record]], measured: Sequence[Record], names: Mapping[tuple[str, str], str]
) -> list[Inline]:
    """One sentence for all operators that a counter does not know, in the same cells."""
    groups: dict[tuple[str, str], list[str]] = {}
    for flag, mine in sorted(flagged.items()):
        kind = flag.partition(":")[0]
        if kind in COUNTERS:
            groups.setdefault((kind, _which(mine, measured, names)), []).append(flag)
    return [
        line(listed([(Code(flag),) for flag in flags]), f" ({where}): {COUNTERS[kind]}.")
        for (kind, where), flags in groups.items()
    ]


def _meaning(flag: str, records: Sequence[Record]) -> str:
    said = (TASKS[record.task].flags.get(flag) for record in records if record.task in TASKS)
    return next((words for words in said if words), "no description is known of this flag; it stands in the records")


def _which(mine: Sequence[Record], measured: Sequence[Record], names: Mapping[tuple[str, str], str]) -> str:
    """``every cell``, or how many of how many, and where."""
    if len(mine) == len(measured):
        return "every cell"
    places = _listed(names[record.cell.workload, record.cell.checkpoint] for record in mine)
    return f"{len(mine)} of {len(measured)} cells; {places}"


def _listed(places: Iterable[str]) -> str:
    found = list(dict.fromkeys(places))
    return "; ".join(found) if len(found) <= MOST_NAMED else f"{len(found)} workloads and checkpoints"


def _timings(count: int) -> str:
    return f"{count} timing{'' if count == 1 else 's'}"
