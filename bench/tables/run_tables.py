"""The tables of one run, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.records import LatencyRecord, Record
from bench.tables.aggregate import aggregate
from bench.tables.evidence import Evidence
from bench.tables.latency import latency_table
from bench.tables.summary import summarise
from bench.tables.tidy import cells_of, tidy


@dataclass(frozen=True)
class RunTables:
    """The tables of one run, as `tidy`, `aggregate`, `summarise`, `latency_table` and `cells_of` make them."""

    frame: pd.DataFrame
    aggregated: pd.DataFrame
    summary: pd.DataFrame
    latency: pd.DataFrame
    cells: pd.DataFrame

    def of_workloads(self, workloads: Sequence[str]) -> RunTables:
        """The rows of these workloads alone."""
        return replace(self, **{name: table[table["workload"].isin(workloads)] for name, table in vars(self).items()})


def run_tables(
    records: Sequence[Record], latency: Sequence[LatencyRecord] = (), evidence: Evidence | None = None
) -> RunTables:
    """The tables of these records.

    Args:
        evidence: what the images contribute; without it differences are known by their seeds alone.

    Raises:
        UserError: numbers of different versions would stand side by side.
    """
    frame = tidy(records)
    aggregated, timed = aggregate(frame, evidence), latency_table(latency)
    return RunTables(frame, aggregated, summarise(frame, aggregated, timed), timed, cells_of(records))
