"""Gaussians from chunks are those from all features, in a fraction of the memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from bench.tasks.generation import gaussian
from bench.tasks.generation.gaussian import Array, GaussianAccumulator, fit


def features(rows: int = 500, width: int = 6, offset: float = 0.0) -> Array:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + offset


@pytest.mark.parametrize("sizes", [[500], [1, 499], [0, 7, 1, 200, 292], [100] * 5])
def test_chunks_give_the_mean_and_covariance_of_the_whole(sizes: list[int]) -> None:
    whole, accumulator = features(), GaussianAccumulator()
    for chunk in np.split(whole, np.cumsum(sizes)[:-1]):
        accumulator.add(chunk)
    found = accumulator.gaussian()
    assert found.count == 500
    assert found.mean == pytest.approx(whole.mean(0), rel=1e-12, abs=1e-14)
    assert found.covariance == pytest.approx(np.cov(whole, rowvar=False), rel=1e-11)


def test_features_far_from_zero_lose_no_digits() -> None:
    whole, accumulator = features(offset=1e7), GaussianAccumulator()
    for chunk in np.array_split(whole, 9):
        accumulator.add(chunk)
    # Sums of squares would have lost 14 of the 16 digits.
    assert accumulator.gaussian().covariance == pytest.approx(np.cov(whole, rowvar=False), rel=1e-8)


def test_float32_chunks_are_added_up_in_double_precision() -> None:
    single, accumulator = features(offset=100).astype(np.float32), GaussianAccumulator()
    accumulator.add(single)
    assert accumulator.gaussian().covariance == pytest.approx(np.cov(single.astype(float), rowvar=False), rel=1e-11)


def test_large_features_are_fitted_in_chunks_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = fit(features())
    monkeypatch.setattr(gaussian, "LARGE", 100)
    monkeypatch.setattr(gaussian, "CHUNK_ROWS", 64)
    chunked = fit(features())
    assert chunked.covariance == pytest.approx(direct.covariance, rel=1e-11)
    assert chunked.mean == pytest.approx(direct.mean, rel=1e-12, abs=1e-14)


def test_an_accumulator_needs_two_vectors() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        GaussianAccumulator().gaussian()


def test_an_accumulator_refuses_another_width() -> None:
    accumulator = GaussianAccumulator()
    accumulator.add(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"\(n, 2\) expected"):
        accumulator.add(np.zeros((3, 4)))


def test_the_factor_of_few_vectors_gives_their_covariance() -> None:
    found = fit(features(5, 6))
    assert found.factor is not None
    assert found.factor.T @ found.factor == pytest.approx(found.covariance)
    assert fit(features(7, 6)).factor is None


def test_fitting_needs_no_second_copy_of_the_features() -> None:
    # A sixteenth of 50,000 x 2,048: float32 features of 25.6 MB; two 0.5 MB matrices; chunks of 8.4 MB in float64.
    whole = np.random.default_rng(0).standard_normal((50_000 // 2, 2_048 // 8), dtype=np.float32)
    assert whole.nbytes == 25_600_000
    accumulator = GaussianAccumulator()
    tracemalloc.start()
    try:
        accumulator.add(whole)
        accumulator.gaussian()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < whole.nbytes


FULL = """
import numpy as np, torch
from torch import nn
from bench.tasks.generation.extractors import extractor_of
from bench.measure.footprint import peak_resident_bytes
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.influence import frechet_influence
from bench.tasks.generation.quality import gaussian_and_first, judge

torch.set_num_threads(1)
torch.manual_seed(0)
module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2048), nn.LeakyReLU(0.1))
extractor = extractor_of("wide", module, (1, 8, 8))
images = torch.randint(0, 256, (50_000, 1, 8, 8), dtype=torch.uint8)
reference, _ = gaussian_and_first(extractor, images, 0)
judged = judge(extractor, images)
assert judged.features.shape == (50_000, 2048)
assert frechet_distance(reference, judged.gaussian) < 1e-6
found = frechet_influence(judged.features, judged.gaussian, reference)
assert found.contributions.count == 50_000 and found.bias > 0
print(peak_resident_bytes())
"""


@pytest.mark.slow
def test_50_000_images_of_2048_features_need_at_most_one_and_a_half_gigabytes() -> None:
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1.5e9
