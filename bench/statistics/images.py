"""What the single images of an evaluation contribute to a number, and the errors that follow.

To first order a number is the mean of what its images contribute (its influence function), so ``sd / sqrt(N)`` is the
standard error that comes from them, and of two networks on common inputs the differences, image by image, give the
error of the difference. Two corrections count where the number is near its floor, as the distance of a good generator
from the real images is. The contributions are themselves estimated from the images, and their own error makes the
first-order variance too large: it is subtracted. And the term of second order, there small beside nothing, is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_FIRST_ORDER = 0.05
"""Of the uncorrected first-order variance so much always stays: a difference of two estimates may be below zero."""


@dataclass(frozen=True)
class Contributions:
    """Of one number, on the scale on which differences are taken; of two numbers' difference likewise."""

    count: int
    """N: how many images the number is of."""
    linear: Array
    """``(K,)``: what each of the first K <= N images contributes, centred."""
    noise: Array
    """``(K,)``: half the difference of `linear` as one half of the images gives it from what the other half gives, on
    the scale of what all N give: its variance is that of the error of `linear`. Empty: there is none."""
    pairs: Array
    """``(P,)``: samples of the kernel of second order, each with its variance. Empty: it has no such term."""

    @property
    def variance(self) -> float:
        """Of the number, over new images: ``(var(linear) - var(noise)) / N + 2 mean(pairs^2) / N^2``."""
        if self.linear.size < 2:
            return float("nan")
        first = float(self.linear.var(ddof=1))
        own = float(self.noise.var(ddof=1)) if self.noise.size > 1 else 0.0
        second = 2 * float(np.mean(self.pairs**2)) / self.count if self.pairs.size else 0.0
        return (max(first - own, LEAST_FIRST_ORDER * first) + second) / self.count


def difference(one: Contributions, other: Contributions) -> Contributions | None:
    """Of ``one`` minus ``other``, where both are of the same inputs; None where their sizes say that they are not."""
    if one.count != other.count or one.linear.shape != other.linear.shape or one.pairs.shape != other.pairs.shape:
        return None
    return Contributions(one.count, one.linear - other.linear, _less(one.noise, other.noise), one.pairs - other.pairs)


def _less(one: Array, other: Array) -> Array:
    if one.size and other.size:
        return np.asarray(one - other)
    return one if one.size else other
