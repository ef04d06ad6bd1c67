"""Sensitivity of a layer pruned alone, by hand; see `hand` for the network."""

from __future__ import annotations

import pytest
import torch

from strategies.criteria import sensitivity
from strategies.criteria.one_layer import smaller_half
from tests.strategies.criteria.hand import KINDS, Z1, Z2, Net, V, W, channels_of, context, weights_of


@pytest.mark.parametrize("kind", KINDS)
def test_sensitivity_is_the_damage_of_a_layers_smaller_half(kind: str) -> None:
    # First layer without 1, -2, 3 (sum 6): W z = (4, 5, -6) and (0, 0, 0); x = 2 - 1.25 = .75 and 0.
    # d = (1^2 + 1.75^2) / 2 = 2.03125. Last layer without .125: x misses 0 and .75; d = .28125.
    scores = weights_of(sensitivity, context(Net(kind), Z1, Z2))
    torch.testing.assert_close(scores["first"], W.double().abs() * 2.03125 / 6)
    torch.testing.assert_close(scores["last"], V.double().abs() * 0.28125 / 0.125)
    expected = [x * 2.03125 / 6 for x in (5, 7, 9)]
    assert channels_of(sensitivity, context(Net(kind), Z1, Z2)) == pytest.approx(expected)


def test_what_is_zero_already_does_not_count_as_pruned() -> None:
    chosen = smaller_half(torch.tensor([[0.0, 3.0, 0.0], [-1.0, 2.0, -4.0]]))
    assert chosen.tolist() == [[False, False, False], [True, True, False]]


def test_a_layer_with_one_weight_loses_it_and_one_without_any_loses_nothing() -> None:
    assert smaller_half(torch.tensor([[5.0]])).tolist() == [[True]]
    assert not smaller_half(torch.zeros(2, 2)).any()


def test_a_layer_of_zeros_has_scores_of_zero() -> None:
    scores = sensitivity(context(Net("linear", W * 0)))
    assert not scores["first"].any() and torch.isfinite(scores["last"]).all()


def test_a_layer_whose_damage_is_larger_has_larger_scores() -> None:
    """The same weights, behind outputs scaled by 2: distances grow by 4."""
    once = weights_of(sensitivity, context(Net(), Z1, Z2))["first"]
    twice = weights_of(sensitivity, context(Net("linear", W, 2 * V), Z1, Z2))["first"]
    torch.testing.assert_close(twice, 4 * once)
