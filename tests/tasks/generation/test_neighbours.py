"""Precision, recall, density and coverage: worked by hand, against torch-fidelity and against their definitions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from bench.tasks.generation import neighbours as module
from bench.tasks.generation.gaussian import Array
from bench.tasks.generation.neighbours import Neighbours, neighbours


def points(*values: float) -> Array:
    return np.array(values)[:, None]


def found(made: Array, real: Array) -> Neighbours:
    result = neighbours(made, real)
    assert result is not None
    return result


def features(seed: int, rows: int, shift: float = 0.0) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, 4)) + shift


def test_points_on_a_line_by_hand() -> None:
    # Real 0 ... 5: the radii to the third neighbour are 3, 2, 2, 2, 2, 3, to the fifth 5, 4, 3, 3, 4, 5.
    # Generated 5, 7, 8, 20: 5 and 7 and 8 are within 3 of 5, 20 of nothing. Radii to their third: 15, 13, 12, 15.
    result = found(points(5, 7, 8, 20), points(*range(6)))
    assert result.precision == 3 / 4
    assert result.recall == 1  # within 15 of 5
    # Balls of radius 5, 4, 3, 3, 4, 5 around 0 ... 5: 5 is in all six, 7 and 8 in those of 4 and 5, 20 in none.
    assert result.density == (6 + 2 + 2) / (5 * 4)
    assert result.coverage == 1


def test_one_mode_of_two_has_precision_without_recall() -> None:
    rng = np.random.default_rng(0)
    left, right, made = (rng.normal(centre, 0.1, (40, 2)) for centre in (0, 10, 0))
    result = found(made, np.concatenate([left, right]))
    assert result.precision > 0.9 and result.density > 0.8
    assert 0.4 < result.recall <= 0.5
    assert 0.4 < result.coverage <= 0.5


def test_generated_images_far_away_have_nothing() -> None:
    assert found(features(0, 30, 50.0), features(1, 30)) == Neighbours(0, 0, 0, 0)


def test_a_copy_of_the_real_images_has_everything() -> None:
    real = features(1, 50)
    result = found(real.copy(), real)
    assert (result.precision, result.recall, result.coverage) == (1, 1, 1)
    # Each is in its own ball and in five others' on average: every ball holds five others and itself.
    assert result.density == pytest.approx(6 / 5)


def test_swapping_the_sets_swaps_precision_and_recall() -> None:
    made, real = features(0, 60, 0.5), features(1, 80)
    forth, back = found(made, real), found(real, made)
    assert (forth.precision, forth.recall) == (back.recall, back.precision)


def test_precision_and_recall_agree_with_torch_fidelity() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_fidelity.metric_prc import prc_features_to_metric
    made, real = features(0, 90, 0.7), features(1, 120)
    # Its convention: input 1 is generated, input 2 is real.
    other = prc_features_to_metric(*map(torch.from_numpy, (made, real)), prc_neighborhood=3, verbose=False)
    result = found(made, real)
    assert result.precision == pytest.approx(other["precision"], abs=1e-7)
    assert result.recall == pytest.approx(other["recall"], abs=1e-7)
    assert 0.1 < result.precision < 1 and 0.1 < result.recall < 1


def test_density_and_coverage_agree_with_their_definition() -> None:
    made, real = features(0, 50, 0.7), features(1, 70)
    between = np.linalg.norm(made[:, None] - real[None], axis=2)
    radii = np.sort(np.linalg.norm(real[:, None] - real[None], axis=2), axis=1)[:, 5]
    inside = between <= radii
    result = found(made, real)
    assert result.density == pytest.approx(inside.sum() / (5 * len(made)))
    assert result.coverage == pytest.approx(inside.any(axis=0).mean())


def test_rows_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = features(0, 90, 0.7), features(1, 120)
    whole = found(made, real)
    monkeypatch.setattr(module, "ROWS", 29)
    assert found(made, real) == whole


@pytest.mark.parametrize(("made", "real"), [(3, 50), (50, 5)])
def test_too_few_images_have_no_neighbours(made: int, real: int) -> None:
    assert neighbours(features(0, made), features(1, real)) is None


def test_features_of_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        neighbours(np.zeros((9, 2)), np.zeros((9, 3)))
