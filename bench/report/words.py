"""How a quantity is called where it is drawn."""

from __future__ import annotations

from bench.tables.lead import times_ten
from bench.tasks import Quantity


def quality_label(quantity: Quantity, metric: str, power: int = 0) -> str:
    """The title with the judge in brackets, its power of ten and its direction: an axis' label."""
    _, bracket, rest = metric.partition("[")
    times = f" {times_ten(power)}" if power else ""
    better = f", {quantity.better}" if quantity.better else ""
    return f"{quantity.title}{bracket}{rest}{times}{better}"
