"""Bounds of a rate over runs that were drawn from the same seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from bench.gate.calibration.rates import Rate

NORMAL = 1.959964


def rate_of_runs(hits: NDArray[np.bool_], drawn: NDArray[np.int64], seeds: int) -> Rate:
    """The rate of ``hits`` over runs ``drawn`` ``(runs, k)``, each of k different seeds out of ``seeds``.

    The bounds hold for the finite number of runs (Clopper and Pearson 1934) and for the finite number of seeds: by the
    jackknife (leaving out one seed leaves the runs without it), less what the finite number of runs puts into that. A
    bootstrap of the seeds would have next to no run of many seeds left, since each of them would have to be drawn.
    """
    runs, k = drawn.shape
    rate = float(hits.mean())
    outside = np.ones((runs, seeds), bool)
    np.put_along_axis(outside, drawn, values=False, axis=1)
    without = (outside * hits[:, None]).sum(axis=0) / outside.sum(axis=0)
    variance = (seeds - 1) / seeds * float(((without - without.mean()) ** 2).sum())
    variance -= rate * (1 - rate) * k / (runs * (1 - k / seeds))
    reach = NORMAL * max(variance, 0.0) ** 0.5
    exact = binomtest(int(hits.sum()), runs).proportion_ci(0.95, method="exact")
    return Rate(rate, min(float(exact.low), max(0.0, rate - reach)), max(float(exact.high), min(1.0, rate + reach)))
