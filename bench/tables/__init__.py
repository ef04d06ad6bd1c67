"""Records -> tidy table -> aggregated table -> the tables that people read.

One direction, pure until `write_tables`: nothing here reads a disk, imports torch or knows how a cell was
run.
"""

from __future__ import annotations

from bench.tables.aggregate import AGGREGATED_COLUMNS, aggregate
from bench.tables.intervals import Interval, holm, paired_p, t_interval
from bench.tables.latency import LATENCY_COLUMNS, latency_table, main_setting, with_latency
from bench.tables.lead import lead_metric
from bench.tables.naming import granularity_of, main_metric, row_order, strategy_order
from bench.tables.summary import SUMMARY_COLUMNS, summarise
from bench.tables.text import escape, markdown_table, summary_text
from bench.tables.tidy import TIDY_COLUMNS, refuse_mixed_versions, tidy, wide
from bench.tables.write import write_tables

__all__ = [
    "AGGREGATED_COLUMNS",
    "LATENCY_COLUMNS",
    "SUMMARY_COLUMNS",
    "TIDY_COLUMNS",
    "Interval",
    "aggregate",
    "escape",
    "granularity_of",
    "holm",
    "latency_table",
    "lead_metric",
    "main_metric",
    "main_setting",
    "markdown_table",
    "paired_p",
    "refuse_mixed_versions",
    "row_order",
    "strategy_order",
    "summarise",
    "summary_text",
    "t_interval",
    "tidy",
    "wide",
    "with_latency",
    "write_tables",
]
