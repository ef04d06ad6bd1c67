"""Ranks and how far two orders agree. Ties share their mean rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np


def mean_ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, 1 for the lowest; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = (start + 1 + end) / 2
        start = end
    return ranks


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rho; NaN where one of the two has only ties."""
    if len(set(x)) < 2 or len(set(y)) < 2:
        return math.nan
    return float(np.corrcoef(mean_ranks(x), mean_ranks(y))[0, 1])


def kendall(x: Sequence[float], y: Sequence[float]) -> float:
    """Kendall's tau-b; NaN where one of the two has only ties."""
    if len(set(x)) < 2 or len(set(y)) < 2:
        return math.nan
    agreeing = untied_x = untied_y = 0
    for (x1, y1), (x2, y2) in combinations(zip(x, y, strict=True), 2):
        across, up = (x1 > x2) - (x1 < x2), (y1 > y2) - (y1 < y2)
        agreeing += across * up
        untied_x += across != 0
        untied_y += up != 0
    return min(1.0, max(-1.0, agreeing / math.sqrt(untied_x) / math.sqrt(untied_y)))
