"""n of every m weights along the inputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from strategies.allocation import uniform
from strategies.base import Infeasible, Level, Levels, NotApplicable
from strategies.composition import Strategy
from strategies.criteria import l1
from strategies.granularity.nm import NmGranularity, pattern
from tests.strategies.nets import context, context_of

TWO_OF_FOUR = Strategy("l1-nm-2-4", l1, NmGranularity(2, 4), uniform, levels=Levels(False, "n", (2.0,)))


def test_the_two_largest_of_every_four_stay() -> None:
    scores = torch.tensor([[1.0, 4.0, 3.0, 2.0, 8.0, 5.0, 6.0, 7.0]])
    assert pattern(scores, 1, 2, 4).int().tolist() == [[0, 1, 1, 0, 1, 0, 0, 1]]


def test_the_earlier_of_equals_stays() -> None:
    assert pattern(torch.ones(1, 4), 1, 2, 4).int().tolist() == [[1, 1, 0, 0]]
    # Short groups are sorted by insertion, which is stable anyway.
    assert pattern(torch.ones(3, 64), 1, 8, 32).int().tolist() == [([1] * 8 + [0] * 24) * 2] * 3


def test_what_fills_no_last_group_stays() -> None:
    assert pattern(torch.arange(6.0)[None], 1, 1, 4).int().tolist() == [[0, 0, 0, 1, 1, 1]]


def test_a_transposed_convolution_reads_its_inputs_along_dimension_0() -> None:
    layer = nn.Sequential(nn.ConvTranspose2d(8, 3, 2))
    removal = TWO_OF_FOUR.decide(
        TWO_OF_FOUR.rank(context(layer, (torch.randn(1, 8, 2, 2),))), Level("n", 2.0), "params"
    )
    mask = removal.apply(layer).masks["0"]
    assert mask.shape == (8, 3, 2, 2)
    assert (mask.view(2, 4, 3, 2, 2).sum(1) == 2).all()


@pytest.mark.parametrize(("n", "m", "expected"), [(2, 4, 0.5), (4, 8, 0.5), (1, 4, 0.75)])
def test_the_sparsity_is_that_of_the_pattern_where_every_layer_divides(n: int, m: int, expected: float) -> None:
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
    ranking = NmGranularity(n, m).rank(context(model, (torch.randn(2, 16),)), l1, uniform)
    removal = ranking.at(n)
    assert removal.sparsity("params") == removal.sparsity("macs") == expected
    pruned = removal.apply(model)
    kept = [(layer.weight != 0).sum().item() for layer in pruned.generator if isinstance(layer, nn.Linear)]
    assert kept == [(1 - expected) * 128, (1 - expected) * 40]


def test_a_layer_with_too_few_inputs_stays_dense_and_says_why() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 5))
    removal = NmGranularity(2, 4).rank(context(model, (torch.randn(2, 3),)), l1, uniform).at(2)
    first, second = removal.apply(model).layers
    assert (first.kept, first.note) == (24, "has 3 inputs, fewer than 4")
    assert (second.kept, second.note) == (20, "")


def test_where_no_layer_has_enough_inputs_it_is_not_applicable() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(NotApplicable, match="no layer has 4 inputs"):
        NmGranularity(2, 4).rank(context(model, (torch.randn(2, 3),)), l1, uniform)


def test_a_pattern_has_one_level() -> None:
    ranking = TWO_OF_FOUR.rank(context_of("mlp"))
    with pytest.raises(ValueError, match="keeps 2, not 3"):
        TWO_OF_FOUR.decide(ranking, Level("n", 3.0), "params")
    with pytest.raises(ValueError, match="no level 'sparsity'"):
        TWO_OF_FOUR.decide(ranking, Level.sparsity(0.5), "params")
    with pytest.raises(Infeasible):
        ranking.cut(0.9, "params")


def test_weights_removed_before_go_first() -> None:
    model = nn.Sequential(nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[4.0, 3.0, 2.0, 1.0]]))
    found = context(model, (torch.randn(2, 4),))
    before = NmGranularity(3, 4).rank(found, l1, uniform).at(3)
    before.masks["0"][0, 0] = False
    again = NmGranularity(2, 4).rank(found, l1, uniform, after=before).at(2)
    assert again.masks["0"].int().tolist() == [[0, 1, 1, 0]]
