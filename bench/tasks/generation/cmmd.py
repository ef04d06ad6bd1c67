"""The kernel distance of CMMD (Jayasumana et al., CVPR 2024) in the features of whoever judges.

The paper's is the squared MMD with the kernel ``exp(-|x - y|^2 / (2 sigma^2))``, sigma = 10, of CLIP's embeddings,
times 1,000, over all pairs of images. Features of another network have another scale, so sigma is here the median
distance between unlike real images (Gretton et al. 2012 take that of both samples): of the reference alone, so it is
the same for every generator. And pairs of an image with itself are left out (their Lemma 6), so the number does not
depend on N: about 0 for a perfect generator, and then below 0 half of the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.statistics import Contributions
from bench.tasks.generation.contributions import KEPT
from bench.tasks.generation.metrics import Column, Found, Metric, Terms
from bench.tasks.generation.quality import Judged, Reference

SCALE = 1_000.0
"""For people: the paper's."""

MOST = 10_000
"""So many images of each side are compared: all pairs of more cost their square, and hardly change the mean."""

BANDWIDTH_IMAGES = 1_000
"""The bandwidth is the median over all pairs of the first so many real images."""

PAIRED_IMAGES = 64
"""The term of second order is seen in all pairs of the first so many images: 2,016."""

ROWS = 1_000
"""The kernel is held for so many rows at a time."""


@dataclass(frozen=True)
class Distance:
    """The number, and what the images make of it."""

    value: float
    contributions: Contributions


def bandwidth(real: NDArray[np.floating]) -> float:
    """The median Euclidean distance between the first `BANDWIDTH_IMAGES` rows of ``(M >= 2, d)``."""
    return float(torch.pdist(torch.from_numpy(real[:BANDWIDTH_IMAGES].astype(np.float64))).median())


def gaussian_distance(generated: NDArray[np.floating], real: NDArray[np.floating], sigma: float) -> Distance:
    """Unbiased squared MMD times 1,000 with the Gaussian kernel of bandwidth ``sigma``; lower is better.

    An image contributes ``2 (mean_x' k(x, x') - mean_y k(x, y))``, the real side y taken as fixed; the kernel of second
    order is ``k(x, x')`` less its means over both.

    Args:
        generated, real: features ``(N >= 4, d)`` and ``(M >= 2, d)``; the first `MOST` of each count.

    Raises:
        ValueError: too few rows, or a bandwidth of 0.
    """
    made, true = (torch.from_numpy(x[:MOST].astype(np.float64)) for x in (generated, real))
    if len(made) < 4 or len(true) < 2 or sigma <= 0:
        raise ValueError(f"{len(made)} and {len(true)} images, bandwidth {sigma}")
    count = len(made)
    even, odd = _sums(made, made[::2], sigma), _sums(made, made[1::2], sigma)
    even[::2] -= 1  # an image with itself
    odd[1::2] -= 1
    own = (even + odd) / (count - 1)
    across = _sums(made, true, sigma) / len(true)
    among_real = (float(_sums(true, true, sigma).sum()) - len(true)) / (len(true) * (len(true) - 1))
    value = float(own.mean()) + among_real - 2 * float(across.mean())

    halves = torch.full((count,), float((count + 1) // 2)), torch.full((count,), float(count // 2))
    halves[0][::2] -= 1
    halves[1][1::2] -= 1
    noise = even / halves[0] - odd / halves[1]
    first = min(PAIRED_IMAGES, count)
    second = _kernel(made[:first], made[:first], sigma) - own[:first, None] - own[None, :first] + own.mean()
    upper = torch.triu_indices(first, first, 1)
    linear = 2 * (own - across)
    pairs = (SCALE * second[upper[0], upper[1]]).numpy()
    contributions = Contributions(count, _centred(linear[:KEPT]), _centred(noise[:KEPT]), pairs)
    return Distance(SCALE * value, contributions)


def _centred(x: Tensor) -> NDArray[np.float64]:
    return np.asarray((SCALE * (x - x.mean())).numpy())


def _kernel(x: Tensor, y: Tensor, sigma: float) -> Tensor:
    squared = x.square().sum(1)[:, None] + y.square().sum(1)[None, :] - 2 * x @ y.T
    return squared.clamp_(min=0).mul_(-0.5 / sigma**2).exp_()


def _sums(x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """``(len(x),)``: the kernel of each row with all of ``y``, added up."""
    return torch.cat([_kernel(x[start : start + ROWS], y, sigma).sum(1) for start in range(0, len(x), ROWS)])


def _cmmd(judged: Judged, ref: Reference) -> Found:
    assert ref.real is not None
    few = len(judged.features) < 4 or len(ref.real) < 2
    sigma = 0.0 if few else bandwidth(ref.real)
    if sigma == 0:  # real images that all look the same, or too few, have no scale
        return Found({"cmmd": None})
    found = gaussian_distance(judged.features, ref.real, sigma)
    return Found({"cmmd": found.value}, {"cmmd": found.contributions})


def _version(terms: Terms) -> str:
    reference = f"ref-{terms.reference}-first{terms.real}/at-most{MOST}"
    sigma = f"sigma-median{min(terms.real, BANDWIDTH_IMAGES)}"
    return f"gaussian-mmd2-x1000-unbiased-1/{terms.judge}/{terms.images}/{reference}/{sigma}"


CMMD = Metric(
    name="cmmd",
    columns=(
        Column(
            "cmmd",
            "squared kernel distance x 1000",
            "lower",
            "Gaussian-kernel distance to as many training images, bandwidth: their median distance",
        ),
    ),
    version=_version,
    compute=_cmmd,
    needs_real=True,
)
