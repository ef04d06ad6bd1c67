"""KID against a sum by hand, its properties and clean-fid."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bench.tasks.generation.gaussian import Array
from bench.tasks.generation.kernel import kernel_distance, subset_size, unit_length


def features(seed: int, rows: int = 60, width: int = 7) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, width)) + seed


def test_distance_of_two_pairs_by_hand() -> None:
    # d = 1, kernel (x y + 1)^3. Generated 0, 1: k = 1. Real 1, 2: k = 27. Across: 1, 1, 8, 27, mean 37 / 4.
    assert kernel_distance(np.array([[0.0], [1]]), np.array([[1.0], [2]]), 2, 3) == pytest.approx(1 + 27 - 37 / 2)


def test_distance_agrees_with_clean_fid_on_whole_sets() -> None:
    pytest.importorskip("cleanfid")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanfid.fid import kernel_distance as clean
    made, real = features(0), features(1)
    expected = clean(made, real, num_subsets=2, max_subset_size=len(made))
    assert kernel_distance(made, real, len(made), 2) == pytest.approx(expected, rel=1e-9)


def test_distance_of_one_distribution_is_about_zero_and_of_two_is_not() -> None:
    draws = [features(0, 400), np.random.default_rng(9).normal(size=(400, 7))]
    assert abs(kernel_distance(*draws, 100)) < 0.02
    assert kernel_distance(draws[0], features(1, 400), 100) > 1


def test_distance_is_the_same_twice_whatever_numpy_s_random_state() -> None:
    np.random.seed(1)
    first = kernel_distance(features(0), features(1), 15)
    np.random.seed(2)
    assert kernel_distance(features(0), features(1), 15) == first


def test_subsets_are_a_quarter_of_the_images_up_to_the_field_s_size() -> None:
    assert [subset_size(n) for n in (4, 50, 1_000, 50_000)] == [2, 12, 250, 1_000]


def test_rows_get_unit_length_and_zeros_stay() -> None:
    assert unit_length(np.array([[3.0, 4], [0, 0]])).tolist() == [[0.6, 0.8], [0, 0]]


@pytest.mark.parametrize("size", [1, 61])
def test_subsets_that_cannot_be_drawn_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="subsets of"):
        kernel_distance(features(0), features(1), size)


def test_subsets_have_from_two_rows_to_all_of_the_smaller_set() -> None:
    made, real = features(0, 5), features(1, 4)
    assert np.isfinite(kernel_distance(made, real, 4))
    for size in (0, 1, 5):
        with pytest.raises(ValueError, match=f"subsets of {size}"):
            kernel_distance(made, real, size)
