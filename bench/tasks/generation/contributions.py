"""What each image contributes to a metric: from these follows its standard error, without generating again.

A contribution is the first-order change of the metric, times the number of images, when that image counts for more
(its influence function). It is centred: the mean over the images is zero. So ``sd / sqrt(N)`` estimates the standard
error that comes from the images, and of two networks on common inputs the sd of the difference of their contributions
gives that of the difference. The real side is taken as fixed. What the Frechet distance adds to it is in
`bench.tasks.generation.influence`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.statistics import Contributions

Array = NDArray[np.float64]

KEPT = 4096
"""Contributions are those of the first so many images: a standard error is known well enough from them (1 %), and more
would cost as much as the metric itself where features are wide."""

NOTHING: Array = np.zeros(0)


def first_order(linear: Array, count: int) -> Contributions:
    """Of a number of ``count`` images without a term of second order that matters."""
    return Contributions(count, linear, NOTHING, NOTHING)


def of_kernel(features: NDArray[np.floating], real: NDArray[np.floating], degree: int = 3) -> Array:
    """``(N,)`` contributions to the squared kernel distance as a full U-statistic, kernel ``(x.y / d + 1)^degree``.

    ``2 (mean_x' k(x, x') - mean_y k(x, y))``, centred, where x' are the other generated images and y the real ones.
    """
    made, true = features.astype(np.float64), real.astype(np.float64)
    width = made.shape[1]
    own = (made @ made.T / width + 1) ** degree
    among = (own.sum(1) - np.diagonal(own)) / (len(made) - 1)
    across = ((made @ true.T / width + 1) ** degree).mean(1)
    found = 2 * (among - across)
    return np.asarray(found - found.mean())


def of_log_score(logits: NDArray[np.floating]) -> Array:
    """``(N,)`` contributions to the logarithm of the Inception Score of logits ``(N, classes)``, in one split.

    The divergence of each image's classes from those of all, centred: the share that moves the mean of the classes
    vanishes to first order.
    """
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    shares = np.exp(logs)
    divergence = (shares * (logs - np.log(shares.mean(0)))).sum(1)
    return np.asarray(divergence - divergence.mean())


def of_share(inside: NDArray[np.floating] | NDArray[np.bool_]) -> Array:
    """Contributions to a mean of indicators, or of counts, ``(N,)``: each less the mean."""
    values = inside.astype(np.float64)
    return np.asarray(values - values.mean())


def of_last(alone: NDArray[np.integer], real: int) -> Array:
    """``(N,)`` contributions to a share of ``real`` images that some generated one reaches: N times what it falls by
    when a generated image is left out, which is what that image reaches alone.

    So the standard error is the jackknife's (Efron & Stein 1981). The radii of other generated images are taken as they
    are, which makes it too wide where nearly all is reached.
    """
    values = len(alone) * alone.astype(np.float64) / real
    return np.asarray(values - values.mean())
