"""Structural similarity of two images (SSIM, Wang et al. 2004), as scikit-image has it with its Gaussian window."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SIGMA = 1.5
RADIUS = 5
"""The window ends after 3.5 sigma: 11 x 11 pixels. Means are over the pixels around which it fits."""

WINDOW = 2 * RADIUS + 1
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """``(N,)``: of each pair of uint8 images ``(N, C, H, W)``, the mean over channels and pixels of

        (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2))

    with means m and (co)variances s under a Gaussian window of sigma 1.5, C1 = (.01 255)^2, C2 = (.03 255)^2.
    Symmetric, 1 for equal images, at least -1; higher is more alike. In float64.

    Raises:
        TypeError: images that are not uint8.
        ValueError: different shapes, or images smaller than the window.
    """
    if a.dtype != torch.uint8 or b.dtype != torch.uint8:
        raise TypeError(f"SSIM compares uint8 images, found {a.dtype} and {b.dtype}")
    if a.shape != b.shape or min(a.shape[2:]) < WINDOW:
        raise ValueError(f"{tuple(a.shape)} and {tuple(b.shape)}: pairs of {WINDOW} x {WINDOW} pixels or more expected")
    one, two = a.double(), b.double()
    mean_a, mean_b = _windowed(one), _windowed(two)
    squared = mean_a.square(), mean_b.square(), mean_a * mean_b
    var_a, var_b = _windowed(one.square()) - squared[0], _windowed(two.square()) - squared[1]
    shared = _windowed(one * two) - squared[2]
    above = (2 * squared[2] + C1) * (2 * shared + C2)
    below = (squared[0] + squared[1] + C1) * (var_a + var_b + C2)
    return np.asarray((above / below).flatten(1).mean(1).numpy())


def _windowed(images: Tensor) -> Tensor:
    """Each pixel's mean under the window, where that fits: rows, then columns."""
    places = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (places / SIGMA) ** 2)
    weights /= weights.sum()
    single = images.flatten(0, 1)[:, None]
    rows = nn.functional.conv2d(single, weights.view(1, 1, -1, 1))
    both = nn.functional.conv2d(rows, weights.view(1, 1, 1, -1))
    return both.reshape(*images.shape[:2], *both.shape[2:])
