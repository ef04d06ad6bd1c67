"""Agreement with the dense generator, image by image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.tasks.generation.agreement import PSNR_CAP, UNPAIRED_ROWS, feature_distance, psnr, unlike_distance


def images(seed: int, count: int = 6) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 28, 28), generator=rng, dtype=torch.uint8)


def features(seed: int, rows: int = 500) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(3, 2, (rows, 16)).astype(np.float32)


def test_psnr_of_identical_images_is_the_cap() -> None:
    assert psnr(images(0), images(0)) == PSNR_CAP


def test_psnr_of_black_against_white_is_zero() -> None:
    black = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    assert psnr(black, black + 255) == 0


def test_psnr_of_a_constant_difference() -> None:
    grey = torch.full((3, 1, 4, 4), 100, dtype=torch.uint8)
    assert psnr(grey, grey - 10) == pytest.approx(20 * math.log10(255 / 10))


def test_psnr_is_averaged_over_images_in_decibel() -> None:
    grey = torch.full((2, 1, 4, 4), 100, dtype=torch.uint8)
    other = grey.clone()
    other[0] += 1
    other[1] += 50
    expected = (20 * math.log10(255) + 20 * math.log10(255 / 50)) / 2
    assert psnr(grey, other) == pytest.approx(expected)


def test_psnr_is_symmetric() -> None:
    assert psnr(images(1), images(2)) == psnr(images(2), images(1))


def test_the_cap_lies_above_the_smallest_difference_of_a_small_image() -> None:
    a, b = torch.zeros(1, 3, 128, 128, dtype=torch.uint8), torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    b[0, 0, 0, 0] = 1
    assert psnr(a, b) < PSNR_CAP


def test_psnr_refuses_images_that_are_not_uint8() -> None:
    with pytest.raises(TypeError, match="uint8"):
        psnr(images(0), images(0).float())


def test_psnr_refuses_images_of_different_number() -> None:
    with pytest.raises(ValueError, match="row by row"):
        psnr(images(0), images(0)[:3])


def test_psnr_refuses_no_images() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        psnr(images(0)[:0], images(0)[:0])


def test_feature_distance_of_identical_features_is_zero() -> None:
    assert feature_distance(features(0), features(0)) == 0


def test_feature_distance_of_unrelated_features_is_about_one() -> None:
    assert feature_distance(features(0), features(1)) == pytest.approx(1, abs=0.05)


def test_feature_distance_of_a_pair_by_hand() -> None:
    dense = np.array([[0.0, 0.0], [3.0, 4.0]])  # 5 apart
    pruned = np.array([[0.0, 2.0], [3.0, 4.0]])  # moved by 2 and 0
    assert feature_distance(dense, pruned) == pytest.approx(1 / 5)


def test_feature_distance_does_not_depend_on_the_scale_of_the_features() -> None:
    a, b = features(0).astype(np.float64), features(1).astype(np.float64)
    assert feature_distance(100 * a, 100 * b) == pytest.approx(feature_distance(a, b))


def test_feature_distance_takes_its_unit_from_the_first_rows() -> None:
    dense = np.random.default_rng(0).normal(size=(UNPAIRED_ROWS + 10, 2))
    far = dense.copy()
    far[UNPAIRED_ROWS:] += 1_000
    assert feature_distance(far, far + 1) == pytest.approx(feature_distance(dense, dense + 1))


def test_feature_distance_of_a_constant_dense_generator_is_undefined() -> None:
    assert feature_distance(np.ones((5, 2)), np.zeros((5, 2))) is None


def test_feature_distance_refuses_features_of_different_number() -> None:
    with pytest.raises(ValueError, match="row by row"):
        feature_distance(features(0), features(0)[:3])


def test_feature_distance_refuses_a_single_row() -> None:
    with pytest.raises(ValueError, match="N >= 2"):
        feature_distance(features(0)[:1], features(0)[:1])


def test_a_known_unit_changes_nothing() -> None:
    dense, pruned = features(0), features(1)
    assert feature_distance(dense, pruned, unlike_distance(dense)) == feature_distance(dense, pruned)


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 0, 1), (1, 1, 0)])
def test_psnr_is_of_the_mean_over_all_values_of_an_image(place: tuple[int, int, int]) -> None:
    one, other = torch.zeros(1, 2, 2, 2, dtype=torch.uint8), torch.zeros(1, 2, 2, 2, dtype=torch.uint8)
    other[(0, *place)] = 16  # of 8 values: the mean square is 32
    expected = 10 * math.log10(255**2 / 32)
    assert psnr(one, other) == pytest.approx(expected)
    assert psnr(one.repeat(2, 1, 1, 1), torch.cat([other, one])) == pytest.approx((expected + 99) / 2)
