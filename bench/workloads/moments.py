"""Statistics of features from outside: whether ``mu`` and ``sigma`` can be a mean and a covariance at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.workloads.archives import Archive
from bench.workloads.data import Statistics

MEAN, COVARIANCE, COUNT = "mu", "sigma", "num_images"
"""Names of the arrays; the last one may be missing."""

MOST_FEATURES = 16_384
"""Judges have 2,048 as a rule, 4,096 at most; the time that a covariance takes grows with the third power."""

MOST_COUNT = 10**12

Array = NDArray[np.float64]


def read_statistics(archive: Archive) -> Statistics:
    """The mean ``(d,)`` and the covariance ``(d, d)`` of an archive, in float64, the covariance exactly symmetric.

    Raises:
        UserError: of another kind or shape, not finite, or no covariance: not symmetric, or not positive semi-definite.
    """
    headers, place = archive.headers, archive.place
    for name in (MEAN, COVARIANCE):
        if headers[name].dtype.kind not in "fiu":
            raise UserError(f"{place}: {name} is {headers[name]}; expected real numbers.")
    mu, sigma = headers[MEAN].shape, headers[COVARIANCE].shape
    if len(mu) != 1 or mu[0] < 1 or sigma != (mu[0], mu[0]):
        raise UserError(f"{place}: mu {mu} and sigma {sigma}; expected (d,) and (d, d).")
    if mu[0] > MOST_FEATURES:
        raise UserError(f"{place}: statistics of {mu[0]:,} features; at most {MOST_FEATURES:,} are compared.")
    tolerance = tolerance_of(headers[COVARIANCE].dtype)
    mean = archive.read(MEAN).astype(np.float64)
    return Statistics(
        _bounded(mean, MEAN, place),
        covariance(archive.read(COVARIANCE).astype(np.float64), tolerance, place),
        _count(archive),
    )


def tolerance_of(dtype: np.dtype[Any]) -> float:
    """How far from symmetric, and below zero, rounding alone can bring a covariance: a share of its variances.

    An entry is a sum of N products, each rounded by at most u, half the spacing of floats at 1. The errors add up to
    N u sqrt(s_ii s_jj) at the worst, and to about sqrt(N) u sqrt(s_ii s_jj) as a rule. The square root of the spacing
    covers the worst case up to 6.7e7 images in double and the rule up to 8e6 in single precision; what is stored in
    single precision was rounded by u itself, far below. Wrong signs and wrong places are far above.
    """
    spacing = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
    return math.sqrt(max(spacing, float(np.finfo(np.float64).eps)))


def covariance(sigma: Array, tolerance: float, place: str) -> Array:
    """``sigma (d, d)``, made exactly symmetric, if rounding is all that keeps it from being a covariance.

    The error E of entries within ``tolerance`` of sqrt(s_ii s_jj) has a Frobenius norm within ``tolerance`` of the
    trace, and no eigenvalue moves further than that (Weyl). So all have to be above -tolerance x trace: the matrix with
    that on its diagonal has a Cholesky factor.

    Raises:
        UserError: it is something else.
    """
    _bounded(sigma, COVARIANCE, place)
    variances = np.diagonal(sigma)
    if (lowest := float(variances.min())) < -tolerance * float(np.abs(variances).max()):
        raise UserError(
            f"{place}: sigma is no covariance: a variance of {lowest:.6g} in row {int(variances.argmin())}."
        )
    scale = np.sqrt(np.abs(variances))
    apart = np.abs(sigma - sigma.T) - 2 * tolerance * np.outer(scale, scale)
    if apart.max() > 0:
        row, column = (int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
        raise UserError(
            f"{place}: sigma is not symmetric: {sigma[row, column]:.6g} in row {row}, column {column}, and "
            f"{sigma[column, row]:.6g} the other way round. Expected "
            "is np.cov(features, rowvar=False)."
        )
    sigma = (sigma + sigma.T) / 2
    trace = float(np.abs(variances).sum())
    if not sigma.any():
        raise UserError(f"{place}: sigma is zero: images that are all alike are no distribution to compare with.")
    try:
        np.linalg.cholesky(sigma / (trace or 1.0) + tolerance * np.eye(len(sigma)))
    except np.linalg.LinAlgError as error:
        lowest = float(np.linalg.eigvalsh(sigma)[0])
        raise UserError(
            f"{place}: sigma is no covariance: its lowest eigenvalue is {lowest:.6g}, and rounding explains "
            f"{-tolerance * trace:.2g} (it has to be positive semi-definite). Save np.cov(features, rowvar=False)."
        ) from error
    return sigma


def _bounded(values: Array, name: str, place: str) -> Array:
    """Raises UserError for what is not finite, or so large that distances would not be."""
    if not np.isfinite(values).all():
        raise UserError(f"{place}: {name} is not finite.")
    most = float(np.abs(values).max())
    if most > 1e100:
        raise UserError(f"{place}: {name} has values up to {most:.3g}; no distance between such features is finite.")
    return values


def _count(archive: Archive) -> int | None:
    header = archive.headers.get(COUNT)
    if header is None:
        return None
    place = archive.place
    if header.dtype.kind not in "iuf" or math.prod(header.shape) != 1:
        raise UserError(f"{place}: num_images is {header}; expected one number.")
    count = float(archive.read(COUNT).reshape(()))
    if not 2 <= count <= MOST_COUNT or count != int(count):
        raise UserError(f"{place}: num_images is {count:g}; expected how many images the statistics are of, 2 or more.")
    return int(count)
