"""The tables of one run, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.records import LatencyRecord, Record
from bench.tables.aggregate import aggregate
from bench.tables.claim import REFERENCE, Claims
from bench.tables.claims import claims_of
from bench.tables.evidence import Evidence
from bench.tables.latency import latency_table
from bench.tables.summary import summarise
from bench.tables.tidy import cells_of, tidy


@dataclass(frozen=True)
class RunTables:
    """The tables of one run, as `tidy`, `aggregate`, `summarise`, `latency_table` and `cells_of` make them, and what is
    claimed of its rows."""

    frame: pd.DataFrame
    aggregated: pd.DataFrame
    summary: pd.DataFrame
    latency: pd.DataFrame
    cells: pd.DataFrame
    claims: Claims

    def of_workloads(self, workloads: Sequence[str]) -> RunTables:
        """The rows of these workloads alone; no claim about them changes by that."""
        tables = ("frame", "aggregated", "summary", "latency", "cells")
        mine = {name: getattr(self, name)[getattr(self, name)["workload"].isin(workloads)] for name in tables}
        return replace(self, **mine, claims=self.claims.of_workloads(workloads))


def run_tables(
    records: Sequence[Record],
    latency: Sequence[LatencyRecord] = (),
    evidence: Evidence | None = None,
    reference: str = REFERENCE,
) -> RunTables:
    """The tables of these records.

    Args:
        evidence: what the images contribute; without it differences are known by their seeds alone.
        reference: the strategy that others are compared with, ``dense``, or ``best``.

    Raises:
        UserError: numbers of different versions would stand side by side.
    """
    frame = tidy(records)
    aggregated, timed = aggregate(frame, evidence), latency_table(latency)
    claims = claims_of(frame, reference, evidence)
    return RunTables(frame, aggregated, summarise(frame, aggregated, timed, claims), timed, cells_of(records), claims)
