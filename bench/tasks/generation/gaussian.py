"""Gaussians fitted to features: in one go, or from chunks where the features do not fit beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGE = 2**24
"""Features of more entries than this (128 MiB in float64) are added up in chunks."""

CHUNK_ROWS = 4096


@dataclass(frozen=True)
class Gaussian:
    """Mean ``(d,)`` and unbiased covariance ``(d, d)`` of ``count`` feature vectors, in float64."""

    mean: Array
    covariance: Array
    count: int
    factor: Array | None = None
    """``(count, d)`` with ``factor.T @ factor`` the covariance; kept where there are no more vectors than
    dimensions, so that the covariance has no full rank."""

    @cached_property
    def root(self) -> Array:
        """The symmetric square root of the covariance; computed once, used for every comparison."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


class GaussianAccumulator:
    """Mean and covariance of features that come in chunks; holds two ``(d, d)`` matrices, whatever their number.

    Chunks are merged by their own means and scatter matrices (Chan, Golub & LeVeque 1983), so nothing large is
    subtracted from something large: features far from zero lose no digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Array = np.zeros(0)
        self._scatter: Array = np.zeros((0, 0))

    def add(self, features: NDArray[np.floating]) -> None:
        """Take in ``features (n, d)``, n >= 0.

        Raises:
            ValueError: no matrix, or another width than before.
        """
        if features.ndim != 2 or (self.count and features.shape[1] != len(self._mean)):
            raise ValueError(f"features of shape (n, {len(self._mean) or 'd'}) expected, found {features.shape}")
        for start in range(0, len(features), CHUNK_ROWS):
            self._merge(np.asarray(features[start : start + CHUNK_ROWS], dtype=np.float64))

    def _merge(self, chunk: Array) -> None:
        rows = len(chunk)
        mean = chunk.mean(axis=0)
        centred = chunk - mean
        scatter = centred.T @ centred
        if self.count == 0:
            self._mean, self._scatter = mean, scatter
        else:
            step = mean - self._mean
            total = self.count + rows
            self._scatter += scatter
            self._scatter += np.outer(step, step) * (self.count * rows / total)
            self._mean = self._mean + step * (rows / total)
        self.count += rows

    def gaussian(self) -> Gaussian:
        """The Gaussian of all that was added. Raises ValueError below two vectors."""
        if self.count < 2:
            raise ValueError(f"at least 2 feature vectors are needed, found {self.count}")
        return Gaussian(self._mean, self._scatter / (self.count - 1), self.count)


def fit(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian of ``features (N, d)``, N >= 2."""
    if np.ndim(features) != 2 or len(features) < 2:
        raise ValueError(f"features of shape (N >= 2, d) expected, found {np.shape(features)}")
    rows, width = features.shape
    if features.size > LARGE and rows > width:
        accumulator = GaussianAccumulator()
        accumulator.add(features)
        return accumulator.gaussian()
    features = np.asarray(features, dtype=np.float64)
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    mean = features.mean(axis=0)
    factor = (features - mean) / np.sqrt(rows - 1) if rows <= width else None
    return Gaussian(mean, covariance, rows, factor)
