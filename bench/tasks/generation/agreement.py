"""Whether a pruned generator still draws what the dense one draws from the same z.

Quality metrics compare distributions: a generator that maps every z to another, equally good image has the
same FID. These numbers compare image by image.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PSNR_VERSION = "psnr-uint8-cap99-1"
FEATURE_DISTANCE_VERSION = "relative-euclidean-1"

PSNR_CAP = 99.0
"""dB. Identical images have an infinite PSNR, which no mean survives. Images of n values that differ at all
reach at most 48.13 + 10 log10(n) dB: 77 for 28 x 28, 96 for 3 x 128 x 128. So up to 120,000 values 99 says
"identical" and nothing else does; larger images that agree better than that are cut to it."""

UNPAIRED_ROWS = 1_000
"""The mean distance between unlike images is over all pairs of the first so many, to bound the time."""


def psnr(a: Tensor, b: Tensor) -> float:
    """Mean over images of the peak signal-to-noise ratio in dB: symmetric, higher is better, at most 99.

    ``10 log10(255^2 / MSE)`` for each pair of uint8 images ``(N, C, H, W)``, then the mean over the N.

    Raises:
        TypeError: images that are not uint8.
        ValueError: different shapes, or no images.
    """
    if a.dtype != torch.uint8 or b.dtype != torch.uint8:
        raise TypeError(f"PSNR compares uint8 images, found {a.dtype} and {b.dtype}")
    _check_paired(tuple(a.shape), tuple(b.shape))
    # Squared differences of 8 bits are whole numbers below 2 ** 16: exact in float32, and so are their sums in float64.
    squared = (a.float() - b.float()).square().flatten(1).mean(1, dtype=torch.float64)
    decibel = 10 * torch.log10(255.0**2 / squared)
    return float(decibel.clamp(max=PSNR_CAP).mean())


def unlike_distance(dense: NDArray[np.floating]) -> float:
    """The unit of `feature_distance`: the mean distance between the features of unlike images."""
    return float(torch.pdist(torch.from_numpy(dense[:UNPAIRED_ROWS].astype(np.float64))).mean())


def feature_distance(
    dense: NDArray[np.floating], pruned: NDArray[np.floating], unlike: float | None = None
) -> float | None:
    """How far features moved, in units of the distance between unlike images; lower is better.

    ``mean_i |dense_i - pruned_i| / mean_{i<j} |dense_i - dense_j|`` with Euclidean norms, features
    ``(N >= 2, d)``, rows of one z in the same place; i and j run over the first `UNPAIRED_ROWS` rows.
    0: the same images; about 1: each image as different as that of any other z.

    Args:
        unlike: `unlike_distance` of ``dense`` where it is known already: it is most of the work.

    Returns:
        None where all dense features are the same: there is no unit then.

    Raises:
        ValueError: different shapes, or fewer than two rows.
    """
    _check_paired(dense.shape, pruned.shape)
    if dense.ndim != 2 or len(dense) < 2:
        raise ValueError(f"features of shape (N >= 2, d) expected, found {dense.shape}")
    unlike = unlike_distance(dense) if unlike is None else unlike
    if unlike == 0:
        return None
    return float(np.linalg.norm(dense.astype(np.float64) - pruned.astype(np.float64), axis=1).mean()) / unlike


def _check_paired(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if a != b:
        raise ValueError(f"{a} and {b} cannot be compared row by row")
    if not a or a[0] == 0:
        raise ValueError(f"nothing to compare: shape {a}")
