"""Where the last digits between our FID and torch-fidelity's come from: its mean of float32 features is float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import Gaussian, fit

WIDTH = 64


def features(rows: int, shift: float, seed: int) -> np.ndarray:
    """Like those behind a rectifier: positive, with a mean of several standard deviations."""
    made = np.random.default_rng(seed).normal(4.0 + shift, 0.5, (rows, WIDTH))
    return np.maximum(made, 0.0).astype(np.float32)


def theirs(one: np.ndarray, other: np.ndarray) -> float:
    """FID by torch-fidelity's own functions."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    first, second = (fid_features_to_statistics(torch.from_numpy(each)) for each in (one, other))
    return float(fid_statistics_to_metric(first, second, verbose=False)["frechet_inception_distance"])


def with_their_mean(values: np.ndarray) -> Gaussian:
    """Our Gaussian with nothing but the mean taken in float32, row after row, as numpy does along the first axis."""
    ours = fit(values)
    return Gaussian(np.mean(values, axis=0).astype(np.float64), ours.covariance, ours.count, ours.factor)


def test_only_the_float32_mean_tells_the_two_apart():
    made, real = features(1_000, 0.02, 0), features(20_000, 0.0, 1)
    exact = frechet_distance(fit(real), fit(made))
    default = theirs(made, real)
    assert abs(default / exact - 1) > 1e-6  # with its defaults the two are not equal to 1e-6
    assert frechet_distance(with_their_mean(real), with_their_mean(made)) == pytest.approx(
        default, rel=1e-8
    )  # they also subtract in float32
    assert theirs(made.astype(np.float64), real.astype(np.float64)) == pytest.approx(exact, rel=1e-9)


def test_our_mean_is_the_nearer_one():
    real = features(20_000, 0.0, 1)
    columns = [real[:, index].astype(np.longdouble).sum() / len(real) for index in range(WIDTH)]
    true = np.array(columns, dtype=np.float64)
    ours = np.abs(fit(real).mean - true).max()
    their = np.abs(np.mean(real, axis=0).astype(np.float64) - true).max()
    assert ours < 1e-12 and their > 1e-6
