"""The distance of two sets of outputs: closed forms, and what it must not prefer."""

from __future__ import annotations

import pytest
import scipy.linalg
import torch

from strategies.compensation.nearness import Nearness


def outputs(count: int, size: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=rng, dtype=torch.float64)
    return torch.randn(count, size, generator=rng, dtype=torch.float64) @ mixing + 1


def test_of_a_set_to_itself_it_is_zero() -> None:
    values = outputs(60, 20)
    assert Nearness.of(values, 8).distance(values) == pytest.approx(0, abs=1e-9)


def test_with_all_directions_it_is_the_frechet_distance() -> None:
    """Against scipy's root of a matrix."""
    a, b = outputs(100, 6), outputs(100, 6, seed=1) * 0.7
    one, other = torch.cov(a.T).numpy(), torch.cov(b.T).numpy()
    cross = scipy.linalg.sqrtm(one @ other).real.trace()
    expected = float((a.mean(0) - b.mean(0)).square().sum()) + one.trace() + other.trace() - 2 * cross
    assert Nearness.of(a).distance(b) == pytest.approx(expected, rel=1e-8)


def test_a_shift_counts_by_its_square_in_any_direction() -> None:
    values = outputs(40, 30)
    assert Nearness.of(values, 4).distance(values + 0.5) == pytest.approx(30 * 0.25, rel=1e-9)


@pytest.mark.parametrize("directions", [0, 3, 39])
def test_a_scale_counts_by_the_square_of_its_difference(directions: int) -> None:
    """(1 - c)^2 times the variance, however many directions are looked at."""
    values = outputs(40, 30)
    spread = float((values - values.mean(0)).square().sum() / 39)
    paler = values.mean(0) + 0.6 * (values - values.mean(0))
    assert Nearness.of(values, directions).distance(paler) == pytest.approx(0.16 * spread, rel=1e-9)


def test_uncertain_outputs_of_the_right_variance_are_nearer_than_pale_ones() -> None:
    """Of y = s + e, s known: s alone has the least squared error; with the variance restored the set is nearer."""
    torch.manual_seed(0)
    known, rest = torch.randn(600, 5), torch.randn(600, 5)
    nearness = Nearness.of(known + rest)
    pale, restored = known, known * 2**0.5
    assert float((pale - known - rest).square().mean()) < float((restored - known - rest).square().mean())
    assert nearness.distance(restored) < 0.1 * nearness.distance(pale)


def test_what_is_not_a_number_is_infinitely_far() -> None:
    values = outputs(10, 4)
    broken = values.clone()
    broken[3, 2] = float("nan")
    assert Nearness.of(values).distance(broken) == float("inf")


def test_outputs_that_do_not_vary() -> None:
    values = torch.ones(10, 4)
    assert Nearness.of(values).distance(values) == 0
    assert Nearness.of(values).distance(values + 1) == pytest.approx(4)
