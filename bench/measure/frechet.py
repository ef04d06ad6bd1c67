"""The Frechet distance between Gaussians fitted to features (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """Mean ``(d,)`` and unbiased covariance ``(d, d)`` of ``count`` feature vectors, in float64."""

    mean: Array
    covariance: Array
    count: int

    @cached_property
    def root(self) -> Array:
        """The symmetric square root of the covariance; computed once, used for every comparison."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


def fit(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian of ``features (N, d)``, N >= 2."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features of shape (N >= 2, d) expected, found {features.shape}")
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    return Gaussian(features.mean(axis=0), covariance, len(features))


def frechet_distance(reference: Gaussian, other: Gaussian) -> float:
    """``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``; zero or more, in squared feature units.

    ``tr (C1 C2)^(1/2)`` is the sum of the square roots of the eigenvalues of the symmetric matrix
    ``C1^(1/2) C2 C1^(1/2)``, which has the same eigenvalues as ``C1 C2``: one `eigvalsh` instead of a
    general matrix square root, and no imaginary parts to throw away.
    """
    if reference.mean.shape != other.mean.shape:
        raise ValueError(f"{reference.mean.shape} and {other.mean.shape} features cannot be compared")
    difference = reference.mean - other.mean
    product = reference.root @ other.covariance @ reference.root
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    trace = np.trace(reference.covariance) + np.trace(other.covariance)
    cross = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    return max(float(difference @ difference + trace - 2 * cross), 0.0)
