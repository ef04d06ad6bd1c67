"""The number that judges a run: FID where it was measured, else KID. Both are better when lower."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from bench.tables.naming import main_metric

LEADERS = ("fid", "kid")
"""Families that rows are ranked and tested by, the first that was measured."""
TITLES = {
    "fid": "FID", "kid": "KID", "is": "IS", "precision": "Precision", "recall": "Recall", "density": "Density",
    "coverage": "Coverage",
}  # fmt: skip
"""Families of quality metrics, in the order of tables and figures."""
HABIT = 3
"""The power of ten that papers show KID times."""
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def lead_metric(metrics: Iterable[str]) -> str | None:
    """The metric that judges: of the first of `LEADERS` that is there, the one that `main_metric` names."""
    names = set(metrics)
    return next((found for family in LEADERS if (found := main_metric(names, family))), None)


def family_of(metric: str | None) -> str:
    """``kid`` of ``kid[mnist-lenet]``; empty for None."""
    return (metric or "").partition("[")[0]


def lead_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """The family that judges these rows of `summarise`; empty where they have neither FID nor KID."""
    rows = list(rows)
    return next((family for family in LEADERS if any(row[f"{family}_metric"] for row in rows)), "")


def title_of(family: str) -> str:
    """``FID``; a family that is not known keeps its own word."""
    return TITLES.get(family, family)


def digits_of(family: str) -> int:
    """Decimals: two, three for shares."""
    return 2 if family in ("fid", "kid", "is") else 3


def power_for(family: str, values: Iterable[float]) -> int:
    """The power of ten that a column's values are shown times: 0 but for KID, whose values are far below 1.

    For KID that of the papers (3) where the median is readable there (from 0.1 to below 1,000), else the one that
    brings the median to between 1 and 10.
    """
    found = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if family != "kid" or not found:
        return 0
    place = math.floor(math.log10(statistics.median(found)))
    return HABIT if -1 <= place + HABIT < 3 else max(0, -place)


def times_ten(power: int) -> str:
    """``× 10³``; empty for 0."""
    return f"× 10{str(power).translate(_SUPERSCRIPT)}" if power else ""


def scaled(row: Mapping[str, Any], names: tuple[str, str], power: int) -> tuple[float, float]:
    """The row's mean and half width, which have these names, times ten to the ``power``."""
    mean, half = names
    return float(row[mean]) * 10.0**power, float(row[half]) * 10.0**power
