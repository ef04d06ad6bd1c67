"""The Frechet distance in its images: influence, error near the floor, and the bias of few images in closed form.

With real mean and covariance m, S and generated mu, C, and ``S^(1/2) C S^(1/2) = V diag(s_i^2) V'``, everything is in
the coordinates ``y = V' S^(1/2) (x - mu)`` of an image, whose covariance is ``diag(s_i^2)``, and in the weights
``w_ij = 1 / (s_i s_j (s_i + s_j))`` by which the square root of a matrix curves. To second order

    FID = FID_inf + mean phi(x) + |mean change|_T^2 + 1/2 sum_ij w_ij (change of C in y)_ij^2

and the expectation of the last two terms is the bias of N images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.statistics import Contributions
from bench.tasks.generation.contributions import KEPT
from bench.tasks.generation.gaussian import Array, Gaussian

LEAST_SHARE = 1e-12
"""Of the largest eigenvalue: below it a direction counts as empty."""

WIDE = 512
"""Beyond so many features the images that are looked at cost as much as the distance itself."""

KEPT_OF_WIDE = 1024
"""So fewer of them are: a standard error is then known to 2 %."""

GROUPS = 32
"""The term of second order is seen in the products of so many group means: 496 pairs."""

DIRECTIONS = 256
"""It is taken over so many directions with the largest s: their share in its variance grows with ``s^2``."""


@dataclass(frozen=True)
class Influence:
    """What the images of one generator do to its Frechet distance."""

    bias: float
    """How much the distance of N images exceeds that of any number, in expectation."""
    contributions: Contributions
    """To the distance less its bias."""


def frechet_influence(features: NDArray[np.floating], made: Gaussian, real: Gaussian) -> Influence:
    """Of the Gaussian ``made`` of ``features (N, d)`` from ``real``.

    Each image's ``phi(x) = 2 (mu - m)'(x - mu) + (x - mu)'(I - T)(x - mu) - tr((I - T) C)``, where T, the gradient of
    the cross term, is ``S^(1/2) (S^(1/2) C S^(1/2))^(-1/2) S^(1/2)``: the optimal transport map between the two
    Gaussians. Its own error is that of mu and T: what two halves of the images make of it, by the derivative of T.
    The bias is ``[tr C + 1/2 sum_ij w_ij Var(y_i y_j)] / N``. Where C has no full rank all of it is on its range, and
    the bias is too small.
    """
    count = made.count
    kept = KEPT if features.shape[1] <= WIDE else KEPT_OF_WIDE
    centred = features[:kept].astype(np.float64) - made.mean
    root = real.root
    values, vectors = np.linalg.eigh(root @ made.covariance @ root)
    filled = values > max(float(values.max()), 0.0) * LEAST_SHARE
    spread = np.sqrt(values[filled])
    turned = centred @ (root @ vectors[:, filled])
    curved = _curvature(spread)

    quadratic = (centred**2).sum(1) - (turned**2 / spread).sum(1)
    linear = 2 * centred @ (made.mean - real.mean) + quadratic
    squared = turned**2
    products = squared.T @ squared / len(squared) - np.diag(spread**4)
    bias = (float(np.trace(made.covariance)) + 0.5 * float((curved * products).sum())) / count
    return Influence(
        bias,
        Contributions(
            count,
            np.asarray(linear - linear.mean()),
            _own_error(centred, turned, curved) * np.sqrt(len(centred) / count),
            _second_order(turned, spread),
        ),
    )


def _curvature(spread: Array) -> Array:
    return np.asarray(1 / (spread[:, None] * spread[None, :] * (spread[:, None] + spread[None, :])))


def _own_error(centred: Array, turned: Array, curved: Array) -> Array:
    """``(K,)``: half of what every other image makes of phi less what the rest makes of it."""
    if len(centred) < 4:
        return np.zeros(len(centred))
    one, other = slice(0, None, 2), slice(1, None, 2)
    shift = (centred[one].mean(0) - centred[other].mean(0)) / 2
    change = np.atleast_2d(np.cov(turned[one], rowvar=False) - np.cov(turned[other], rowvar=False)) / 2
    found = 2 * centred @ shift + ((turned @ (curved * change)) * turned).sum(1)
    return np.asarray(found - found.mean())


def _second_order(turned: Array, spread: Array) -> Array:
    """Products of group means of what the kernel ``h(x, x')`` of second order is a product of, each with the variance
    ``E h^2``: ``y' diag(1/s) y' + 1/2 sum_ij w_ij (y_i y_j - c_ij) (y'_i y'_j - c_ij)``. Image k is in group k mod 32,
    so that the groups of two networks have common inputs."""
    size = len(turned) // GROUPS
    if not size:
        return np.zeros(0)
    leading = np.argsort(-spread, kind="stable")[:DIRECTIONS]
    seen, wide = turned[:, leading], spread[leading]
    weights = np.sqrt(_curvature(wide) / 2)
    means = np.empty((GROUPS, len(wide) * (len(wide) + 1)))
    for group in range(GROUPS):
        members = seen[group::GROUPS][:size]
        change = members.T @ members / size - np.diag(wide**2)
        means[group] = np.concatenate([members.mean(0) / np.sqrt(wide), (weights * change).ravel()])
    return np.asarray(size * (means @ means.T)[np.triu_indices(GROUPS, 1)])
