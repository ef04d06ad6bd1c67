"""What can be a mean and a covariance, and what cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import UserError
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import fit
from bench.workloads.archives import Archive
from bench.workloads.data import Statistics
from bench.workloads.moments import read_statistics, tolerance_of

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(1, 3, (400, 6)) @ RNG.normal(size=(6, 6))
MU, SIGMA = FEATURES.mean(0), np.cov(FEATURES, rowvar=False)


def read(folder: Path, **arrays: Any) -> Statistics:
    np.savez(folder / "s.npz", **({"mu": MU, "sigma": SIGMA} | arrays))
    return read_statistics(Archive(folder / "s.npz", "here"))


def changed(row: int, column: int, by: float) -> np.ndarray:
    sigma = SIGMA.copy()
    sigma[row, column] += by
    return sigma


def test_statistics_are_read_bit_by_bit(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert np.array_equal(found.mean, MU)
    assert np.array_equal(found.covariance, SIGMA)
    assert found.num_images is None
    assert read(tmp_path, num_images=400).num_images == 400
    assert read(tmp_path, num_images=np.array([400.0])).num_images == 400


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8"])
def test_any_precision_of_real_numbers(tmp_path: Path, dtype: Any) -> None:
    found = read(tmp_path, mu=MU.astype(dtype), sigma=SIGMA.astype(dtype))
    assert found.covariance.dtype == np.float64
    np.testing.assert_allclose(found.covariance, SIGMA, rtol=1e-3, atol=0.05)
    assert np.array_equal(read(tmp_path, sigma=np.eye(6, dtype=np.int64)).covariance, np.eye(6))


def test_covariances_of_few_images_have_no_full_rank_and_are_covariances(tmp_path: Path) -> None:
    few = np.cov(FEATURES[:4], rowvar=False)
    assert np.linalg.eigvalsh(few)[0] < 1e-9
    for sigma in (few, few.astype(np.float32), few * 1e-30, few * 1e30):
        read(tmp_path, sigma=sigma)


def test_what_rounding_alone_makes_unequal_is_made_equal(tmp_path: Path) -> None:
    found = read(tmp_path, sigma=changed(0, 1, 1e-12 * SIGMA[0, 0]))
    assert np.array_equal(found.covariance, found.covariance.T)
    np.testing.assert_allclose(found.covariance, SIGMA, rtol=1e-10)
    single = SIGMA.astype(np.float32)
    single[2, 3] = np.nextafter(single[2, 3], np.float32(1e9))
    assert np.array_equal(read(tmp_path, sigma=single).covariance, read(tmp_path, sigma=single).covariance.T)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"sigma": -np.eye(6)}, r"sigma is no covariance: a variance of -1 in row 0"),
        ({"sigma": -SIGMA}, "sigma is no covariance"),
        ({"sigma": changed(0, 1, 0.5)}, r"not symmetric: .* in row 0, column 1"),
        ({"sigma": changed(0, 1, 1e-5)}, "not symmetric"),
        ({"sigma": np.triu(SIGMA)}, "not symmetric"),
        ({"sigma": np.ones((6, 6)) - np.eye(6)}, "its lowest eigenvalue is -1"),
        ({"sigma": SIGMA - 1.001 * np.linalg.eigvalsh(SIGMA)[0] * np.eye(6)}, "its lowest eigenvalue is -"),
        ({"sigma": np.zeros((6, 6))}, "sigma is zero"),
        ({"sigma": SIGMA + 1j}, r"sigma is complex128 \(6, 6\); expected real numbers"),
        ({"mu": MU + 0j}, r"mu is complex128 \(6,\); expected real numbers"),
        ({"mu": np.array(["a"] * 6)}, r"mu is <U1 \(6,\); expected real numbers"),
        ({"mu": np.zeros(6, bool)}, "mu is bool"),
        ({"mu": np.array([None] * 6)}, "mu is Python objects"),
        ({"mu": np.zeros(6, "M8[s]")}, "expected real numbers"),
        ({"mu": np.zeros(6, [("a", "f8")])}, "expected real numbers"),
        ({"sigma": np.where(np.eye(6) == 1, np.inf, 0)}, "sigma is not finite"),
        ({"mu": np.full(6, np.nan)}, "mu is not finite"),
        ({"mu": np.full(6, 1e200)}, r"mu has values up to 1e\+200"),
        ({"mu": np.zeros(5)}, r"mu \(5,\) and sigma \(6, 6\); expected \(d,\) and \(d, d\)"),
        ({"mu": MU[None]}, r"expected \(d,\) and \(d, d\)"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"expected \(d,\) and \(d, d\)"),
        ({"mu": np.float64(1), "sigma": np.float64(1)}, r"expected \(d,\) and \(d, d\)"),
        ({"sigma": SIGMA.ravel()}, r"expected \(d,\) and \(d, d\)"),
        ({"num_images": 1}, "num_images is 1; expected"),
        ({"num_images": -5}, "num_images is -5; expected"),
        ({"num_images": 2.5}, "num_images is 2.5; expected"),
        ({"num_images": np.nan}, "num_images is nan; expected"),
        ({"num_images": "many"}, "num_images is <U4"),
        ({"num_images": np.array([3, 4])}, r"num_images is int64 \(2,\); expected one number"),
    ],
)
def test_what_is_no_mean_and_covariance_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        read(tmp_path, **arrays)
    assert str(raised.value).startswith(f"here: {tmp_path}/s.npz")


def test_the_tolerance_is_far_below_what_moves_a_number(tmp_path: Path) -> None:
    """The worst that passes as rounding changes FID by less than a millionth of the trace."""
    tolerance = tolerance_of(SIGMA.dtype)
    assert tolerance == 2**-26
    values, vectors = np.linalg.eigh(SIGMA)
    values[0] = -0.9 * tolerance * values.sum()
    found = read(tmp_path, sigma=(vectors * values) @ vectors.T)
    values[0] = 0.0
    exact = (vectors * values) @ vectors.T
    other = fit(RNG.normal(size=(100, 6)))
    as_found = frechet_distance(type(other)(found.mean, found.covariance, 400), other)
    as_exact = frechet_distance(type(other)(found.mean, exact, 400), other)
    assert abs(as_found - as_exact) < 1e-6 * values.sum()


@given(seed=st.integers(0, 10**6), width=st.integers(1, 12), rows=st.integers(2, 40), single=st.booleans())
def test_every_covariance_is_one(seed: int, width: int, rows: int, single: bool) -> None:
    from bench.workloads.moments import covariance

    rng = np.random.default_rng(seed)
    features = rng.normal(rng.normal(0, 5, width), rng.uniform(0.01, 10, width), (rows, width))
    features = features.astype(np.float32) if single else features
    centred = features - features.mean(0)
    sigma = np.atleast_2d(centred.T @ centred / np.asarray(rows - 1, features.dtype))
    found = covariance(sigma.astype(np.float64), tolerance_of(sigma.dtype), "here")
    np.testing.assert_allclose(found, sigma, rtol=1e-4, atol=1e-6 * np.trace(sigma))
