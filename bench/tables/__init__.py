"""Records -> tidy table -> aggregated table -> the tables that people read.

One direction, pure until `write_tables`: nothing here reads a disk, imports torch, names a metric or knows how a cell
was run.
"""

from __future__ import annotations

from bench.tables.aggregate import AGGREGATED_COLUMNS, aggregate
from bench.tables.claims import claims_of
from bench.tables.latency import LATENCY_COLUMNS, latency_table, main_setting, with_latency
from bench.tables.naming import granularity_of, main_metric, row_order, strategy_order
from bench.tables.run_tables import RunTables, run_tables
from bench.tables.summary import summarise, summary_columns
from bench.tables.text import escape, markdown_table, summary_text
from bench.tables.tidy import TIDY_COLUMNS, refuse_mixed_versions, tidy, wide
from bench.tables.write import write_tables

__all__ = [
    "AGGREGATED_COLUMNS",
    "LATENCY_COLUMNS",
    "TIDY_COLUMNS",
    "RunTables",
    "aggregate",
    "claims_of",
    "escape",
    "granularity_of",
    "latency_table",
    "main_metric",
    "main_setting",
    "markdown_table",
    "refuse_mixed_versions",
    "row_order",
    "run_tables",
    "strategy_order",
    "summarise",
    "summary_columns",
    "summary_text",
    "tidy",
    "wide",
    "with_latency",
    "write_tables",
]
