"""The tables of one run, together."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Numbers:
    """The tables of one run, as `tidy`, `aggregate`, `summarise` and `latency_table` make them."""

    frame: pd.DataFrame
    aggregated: pd.DataFrame
    summary: pd.DataFrame
    latency: pd.DataFrame
