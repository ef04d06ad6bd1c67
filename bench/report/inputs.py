"""What a report is made of, and what the experiment says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.base.errors import UserError
from bench.records import Failure, LatencyFailure, LatencyRecord, Record
from bench.report.blocks import Code, Inline, line, listed
from bench.tables.claim import BEST, REFERENCE
from bench.tables.evidence import Evidence
from bench.tables.naming import DENSE
from bench.tables.places import by_place

Images = npt.NDArray[np.uint8]
SampleKey = tuple[str, str, str]
"""(workload, with its checkpoint where it has several: `bench.tables.places`; strategy; label of the level)"""


@dataclass(frozen=True)
class ReportInputs:
    """All that a report is made of; nothing else is read."""

    experiment: Mapping[str, Any]
    """The experiment as it was understood; ``name`` and ``report.reference`` are used where they are
    there.
    """
    run: str
    records: Sequence[Record]
    latency: Sequence[LatencyRecord] = ()
    failures: Sequence[Failure] = ()
    failed_timings: Sequence[LatencyFailure] = ()
    excluded: Sequence[str] = ()
    """Combinations that the experiment left out, in words."""
    samples: Mapping[SampleKey, Images] = field(default_factory=dict)
    """`SampleKey` -> uint8 images (n, C, H, W), the same inputs in each."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    """What the images of each cell contribute to its numbers."""
    samples_recovery: str | None = None
    """The recovery that the samples come from; needed for the quality in captions where there are several."""


def name_of(experiment: Mapping[str, Any]) -> str:
    """The experiment's name, at the top or under ``experiment``."""
    inner = experiment.get("experiment")
    name = experiment.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
    return str(name or "unnamed experiment")


def reference_of(experiment: Mapping[str, Any]) -> str:
    """``report.reference``, or the default."""
    report = experiment.get("report")
    return str((report.get("reference") if isinstance(report, Mapping) else None) or REFERENCE)


def check_reference(frame: pd.DataFrame, reference: str) -> None:
    """Raise UserError for a reference that was asked for by name and is not in the run."""
    known = sorted({str(one) for one in frame["strategy"]} - {DENSE})
    if reference not in (DENSE, BEST, *known):
        raise UserError(
            f"reference: no strategy {reference!r} in this run; expected {DENSE}, {BEST}, or one of {', '.join(known)}."
        )


def run_notes(frame: pd.DataFrame, latency: pd.DataFrame) -> list[Inline]:
    """What a reader of this run's tables must know first; empty where there is nothing."""
    notes: list[Inline] = []
    for place, group in by_place(frame):
        if DENSE not in set(group["strategy"]):
            notes.append((f"{place} has no dense cell: there are no ratios and no differences to dense.",))
    if not frame.empty and frame["seed"].nunique() == 1:
        notes.append(("One seed: nothing is seen of what pruning and training draw, so no claim is made about it.",))
    if not frame.empty and latency.empty:
        notes.append(("Latency was not measured: speed-ups are theoretical only.",))
    masked = frame[(frame["strategy"] != DENSE) & ~frame["physical"].astype(bool) & (frame["status"] == "ok")]
    if not masked.empty:
        names = listed([(Code(str(name)),) for name in sorted(masked["strategy"].unique())])
        notes.append(line("Masked, so dense kernels run them no faster than dense: ", names, "."))
    return notes
