"""LAMP for scores that are sums of squares already."""

from __future__ import annotations

from strategies.allocation import Allocation, Layout, Priorities, Scored, lamp


def _lamp_of_squares(scores: Scored, layout: Layout) -> Priorities:
    return lamp({name: values.double().sqrt() for name, values in scores.items()}, layout)


lamp_of_squares = Allocation(
    "lamp",
    _lamp_of_squares,
    "priority = s_u / sum of s_v over all v >= u of its group (Lee et al. 2021, s a sum of squares)",
)
