"""The Vendi score (Friedman & Dieng 2023): how many entirely different images a set is worth, by itself.

``exp(-tr(R log R))`` with R = K / N and K the cosines between the features of N images: 1 where all are the same, N (at
most the number of features) where each is orthogonal to all others. No real image enters, so noise has a high score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.tasks.generation.contributions import KEPT, first_order
from bench.tasks.generation.kernel import unit_length
from bench.tasks.generation.metrics import Column, Found, Metric, Terms
from bench.tasks.generation.quality import Judged, Reference

Array = NDArray[np.float64]

LEAST = 1e-15
"""An eigenvalue below it is one of rounding; all together are 1."""


def log_vendi(features: NDArray[np.floating]) -> tuple[float, Array]:
    """The logarithm of the score of features ``(N, d)``, higher is more diverse, and ``(N,)`` contributions to it.

    An image with the direction x contributes ``-x' log(R) x`` less the mean of that, which is the derivative of the
    entropy with respect to the image's weight in ``R = mean x x'``.
    """
    unit = unit_length(features)
    if unit.shape[1] <= len(unit):
        values, vectors = np.linalg.eigh(unit.T @ unit / len(unit))
        squared = (unit @ vectors) ** 2
    else:  # the same eigenvalues, of the images' Gram matrix
        values, vectors = np.linalg.eigh(unit @ unit.T / len(unit))
        squared = len(unit) * vectors**2 * np.maximum(values, 0.0)
    filled = values > LEAST
    logs = np.log(values[filled])
    found = -squared[:, filled] @ logs
    return float(-(values[filled] * logs).sum()), np.asarray(found - found.mean())


def _vendi(judged: Judged, ref: Reference) -> Found:
    score, linear = log_vendi(judged.features)
    kept = linear[:KEPT]
    return Found({"vendi": float(np.exp(score))}, {"vendi": first_order(kept - kept.mean(), len(linear))})


def _version(terms: Terms) -> str:
    return f"vendi-cosine-1/{terms.judge}/{terms.images}"


VENDI = Metric(
    name="vendi",
    columns=(Column("vendi", "effective images", "higher", "Vendi score: how many unlike images the set is worth"),),
    version=_version,
    compute=_vendi,
)
