"""What each image contributes to a metric: from these follows its standard error, without generating again.

A contribution is the first-order change of the metric, times the number of images, when that image counts for more
(its influence function). It is centred: the mean over the images is zero. So ``sd / sqrt(N)`` estimates the standard
error that comes from the images, and of two networks on common inputs the sd of the difference of their contributions
gives that of the difference. The real side is taken as fixed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.tasks.generation.gaussian import Gaussian

Array = NDArray[np.float64]

LEAST_SHARE = 1e-12
"""Of the largest eigenvalue: below it a direction counts as empty."""


def of_frechet(features: NDArray[np.floating], real: Gaussian) -> Array:
    """``(N,)`` contributions of features ``(N, d)`` to the Frechet distance from ``real``.

    With real mean and covariance m, S and generated mu, C: the mean's part is ``2 (mu - m)'(x - mu)``, that of the
    covariance ``(x - mu)'(I - T)(x - mu) - tr((I - T) C)``, where T, the gradient of the cross term, is
    ``S^(1/2) (S^(1/2) C S^(1/2))^(-1/2) S^(1/2)``: the optimal transport map between the two Gaussians. Where C has no
    full rank, T is taken on its range.
    """
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    shift = features.mean(0, dtype=np.float64) - real.mean
    root = real.root
    values, vectors = np.linalg.eigh(root @ (centred.T @ centred / len(centred)) @ root)
    kept = values > max(values.max(), 0) * LEAST_SHARE
    moved = centred @ (root @ vectors[:, kept])
    quadratic = (centred**2).sum(1) - (moved**2 / np.sqrt(values[kept])).sum(1)
    return np.asarray(2 * centred @ shift + quadratic - quadratic.mean())


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
