"""The sliced Wasserstein distance: one dimension by hand, closed forms, and its error against the spread."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.tasks.generation import mind
from bench.tasks.generation.gaussian import fit
from bench.tasks.generation.metrics import Terms
from bench.tasks.generation.mind import MIND, directions_of, monge_distance
from bench.tasks.generation.quality import Judged, Reference

Array = NDArray[np.float64]
WIDTH = 5


def features(seed: int, count: int, shift: float = 0.0, width: int = WIDTH) -> Array:
    return np.random.default_rng(seed).normal(size=(count, width)) + shift


@pytest.fixture(autouse=True)
def few_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mind, "DIRECTIONS", 60)
    monkeypatch.setattr(mind, "SEEN", 24)


def test_in_one_dimension_it_is_the_distance_of_the_sorted_values() -> None:
    made, real = features(0, 40, 0.5, 1), features(1, 40, 0, 1)
    expected = 3 * ((np.sort(made[:, 0]) - np.sort(real[:, 0])) ** 2).mean()
    assert monge_distance(made, real).value == pytest.approx(expected)


def test_it_is_the_paper_s_sum() -> None:
    """3 d / (n M) sum over directions and ranks of the squared differences of sorted projections."""
    made, real = features(2, 30, 0.4), features(3, 30)
    directions = directions_of(WIDTH).numpy()
    apart = np.sort(made @ directions.T, axis=0) - np.sort(real @ directions.T, axis=0)
    assert monge_distance(made, real).value == pytest.approx(3 * WIDTH * (apart**2).mean())


def test_of_a_shifted_set_it_is_three_times_the_squared_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mind, "DIRECTIONS", 2_000)
    real, shift = features(4, 50), np.array([1.0, -2.0, 0.5, 0.0, 1.0])
    assert monge_distance(real + shift, real).value == pytest.approx(3 * (shift**2).sum(), rel=0.07)
    assert monge_distance(1.5 * real, real).value == pytest.approx(3 * 0.25 * (real**2).sum(1).mean(), rel=0.07)


def test_directions_are_unit_vectors_in_all_directions_and_the_same_ones() -> None:
    found = directions_of(3)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found), dtype=torch.float64))
    assert torch.equal(found, directions_of(3))
    assert found.mean(0).abs().max() < 0.3


def test_equal_sets_are_not_apart_in_any_order_and_the_scale_is_squared() -> None:
    made, real = features(5, 40, 0.3), features(6, 40)
    mixed = np.random.default_rng(0).permutation(40)
    assert monge_distance(real, real[mixed]).value == pytest.approx(0, abs=1e-20)
    value = monge_distance(made, real).value
    assert monge_distance(made[mixed], real).value == pytest.approx(value)
    assert monge_distance(real, made).value == pytest.approx(value)
    assert monge_distance(3 * made, 3 * real).value == pytest.approx(9 * value)


def test_of_unequal_sets_the_first_of_the_larger_one_count() -> None:
    made, real = features(7, 40, 0.3), features(8, 25)
    found = monge_distance(made, real)
    assert found.value == monge_distance(made[:25], real).value
    assert found.contributions.count == found.contributions.linear.size == 25


def test_what_an_image_contributes_is_the_potential_of_the_transport() -> None:
    """Of a shift by c in one dimension the potential is 2 c a; of a stretch by s, (1 - 1 / s) a^2."""
    real = np.sort(features(9, 200, 0, 1), axis=0)
    shifted, stretched = real + 0.7, 2 * real
    found = monge_distance(shifted, real).contributions.linear
    np.testing.assert_allclose(found, 3 * 1.4 * (shifted - shifted.mean())[:, 0], atol=1e-9)
    found = monge_distance(stretched, real).contributions.linear
    potential = 0.5 * stretched[:, 0] ** 2
    np.testing.assert_allclose(found, 3 * (potential - potential.mean()), atol=0.05)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_the_error_is_the_spread_over_new_images(shift: float) -> None:
    real = features(10, 192)
    found = [monge_distance(features(seed, 192, shift), real) for seed in range(100, 170)]
    values = np.array([each.value for each in found])
    errors = np.sqrt([each.contributions.variance for each in found])
    predicted = np.sqrt(np.mean([each.contributions.parts.estimate for each in found]))
    assert 0.8 < predicted / values.std(ddof=1) < 1.25
    assert np.mean(abs(values - values.mean()) < 1.96 * errors) > 0.82


def test_contributions_are_to_the_logarithm_and_equal_images_have_none() -> None:
    made, real = features(11, 60, 0.5).astype(np.float32), features(12, 60).astype(np.float32)
    reference = Reference(fit(real), None, None, real=real)
    plain, found = monge_distance(made, real), MIND.compute(Judged(made, None), reference)
    assert found.values == {"mind": plain.value}
    np.testing.assert_allclose(found.contributions["mind"].linear, plain.contributions.linear / plain.value)
    assert found.contributions["mind"].variance == pytest.approx(plain.contributions.variance / plain.value**2)
    assert MIND.compute(Judged(real, None), reference).values == {"mind": 0.0}
    assert MIND.compute(Judged(made[:3], None), reference).values == {"mind": None}


def test_the_version_names_n_and_the_directions() -> None:
    version = MIND.version(Terms("lenet-12ab", 1_000, "digits-34cd", 400, False))
    assert version == "sliced-wasserstein2-x3d-1/lenet-12ab/n1000-uint8/ref-digits-34cd-first400/directions60-seed0"


def test_features_of_other_widths_and_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="compared"):
        monge_distance(features(0, 10), features(0, 10, 0, 4))
    with pytest.raises(ValueError, match="compared"):
        monge_distance(features(0, 3), features(0, 10))
