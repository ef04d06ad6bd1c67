"""The Frechet distance between Gaussians fitted to features (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

import numpy as np

from bench.tasks.generation.gaussian import Array, Gaussian


def frechet_distance(reference: Gaussian, other: Gaussian) -> float:
    """``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``; zero or more, in squared feature units."""
    if reference.mean.shape != other.mean.shape:
        raise ValueError(f"{reference.mean.shape} and {other.mean.shape} features cannot be compared")
    difference = reference.mean - other.mean
    trace = np.trace(reference.covariance) + np.trace(other.covariance)
    return max(float(difference @ difference + trace - 2 * _cross(reference, other)), 0.0)


def low_rank(*gaussians: Gaussian) -> bool:
    """Whether the distance between these goes through the low rank: one has no more vectors than dimensions."""
    return any(gaussian.factor is not None for gaussian in gaussians)


def _cross(reference: Gaussian, other: Gaussian) -> float:
    """``tr (C1 C2)^(1/2)``, the sum of the square roots of the eigenvalues of ``C1^(1/2) C2 C1^(1/2)``.

    That matrix is symmetric and has the eigenvalues of ``C1 C2``: one `eigvalsh` instead of a general matrix
    square root, and no imaginary parts to throw away. With ``C2 = A2' A2`` of N rows, those that are not zero
    are the eigenvalues of the N x N matrix ``A2 C1 A2'`` as well, and with ``C1 = A1' A1`` their square roots are
    the singular values of ``A1 A2'``. So the d - N zeros, whose rounding errors a square root would blow up,
    are never computed.
    """
    if reference.factor is not None and other.factor is not None:
        return float(np.linalg.svd(reference.factor @ other.factor.T, compute_uv=False).sum())
    if other.factor is not None:
        return _root_sum(other.factor @ reference.covariance @ other.factor.T)
    if reference.factor is not None:
        return _root_sum(reference.factor @ other.covariance @ reference.factor.T)
    return _root_sum(reference.root @ other.covariance @ reference.root)


def _root_sum(product: Array) -> float:
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    return float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())
