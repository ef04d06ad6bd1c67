"""The kernel distance between two sets of features (KID, Binkowski et al. 2018)."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import torch
from numpy.typing import NDArray

SUBSETS = 100
SEED = 2020
LARGEST_SUBSET = 1_000
"""The field's subset size; larger ones cost their square and change nothing in the mean."""


def subset_size(num_images: int) -> int:
    """A quarter of the images, from 2 to the field's 1,000."""
    return min(max(num_images // 4, 2), LARGEST_SUBSET)


def unit_length(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each row divided by its Euclidean length; rows of zeros stay."""
    features = features.astype(np.float64)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1.0))


def kernel_distance(
    generated: NDArray[np.floating], real: NDArray[np.floating], size: int, subsets: int = SUBSETS
) -> float:
    """Mean over random subsets of the unbiased squared MMD with the kernel ``(x.y / d + 1)^3``; lower is better.

    torch-fidelity's function, in float64. About 0 for samples of one distribution, and then negative half of
    the time.

    Raises:
        ValueError: fewer than ``size`` rows in one of ``(N, d)``, or ``size`` below 2.
    """
    if size < 2 or min(len(generated), len(real)) < size:
        raise ValueError(f"subsets of {size} of {len(generated)} generated and {len(real)} real images")
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    found = kid_features_to_metric(
        torch.from_numpy(generated.astype(np.float64)),
        torch.from_numpy(real.astype(np.float64)),
        kid_subsets=subsets,
        kid_subset_size=size,
        rng_seed=SEED,
        verbose=False,
    )
    return float(found[KEY_METRIC_KID_MEAN])
