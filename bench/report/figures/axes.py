"""Axes that say plain numbers."""

from __future__ import annotations

import math

from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

TITLE_AT = 1.0
"""Where a panel's title stands. Said, so that it is not looked for each time a figure is drawn: no axis is above it."""


def logarithmic_axis(axis: Axis, limits: tuple[float, float]) -> None:
    """A log scale with ticks like 5, 10, 20 instead of powers; fewer of them where there are many decades."""
    if isinstance(axis, XAxis):
        axis.axes.set_xscale("log")
    else:
        axis.axes.set_yscale("log")
    decades = math.log10(limits[1] / limits[0])
    digits: tuple[float, ...] = (1.0, 2.0, 5.0) if decades < 2.2 else ((1.0, 3.0) if decades < 4 else (1.0,))
    if decades < 0.7:
        digits = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    axis.set_major_locator(LogLocator(base=10, subs=digits, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(LogLocator(base=10, subs=tuple(range(1, 10)), numticks=20))
    axis.set_minor_formatter(NullFormatter())


def padded(values: list[float], share: float = 0.08) -> tuple[float, float]:
    """Limits of a log axis around positive values, with a margin that is at least 10 % of the value."""
    low, high = math.log(min(values)), math.log(max(values))
    margin = max((high - low) * share, math.log(1.1))
    return math.exp(low - margin), math.exp(high + margin)
