"""Criteria that need no data: norms, geometry, controls."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from strategies.allocation import global_
from strategies.base import NotApplicable, Scores
from strategies.criteria import CRITERIA, bnscale, fpgm, l1, l2, random, rownorm, shuffled, shuffledfilters, unlike
from strategies.granularity.weight import weight
from tests.strategies.criteria.hand import KINDS, Net, W, channels_of, context, weights_of
from tests.strategies.nets import context as given
from tests.strategies.nets import context_of


@pytest.mark.parametrize("kind", KINDS)
def test_l2_is_the_square_and_for_channels_the_norm(kind: str) -> None:
    assert torch.equal(weights_of(l2, context(Net(kind)))["first"], W.double() ** 2)
    expected = [math.sqrt(17), math.sqrt(29), math.sqrt(45)]
    assert channels_of(l2, context(Net(kind))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_fpgm_adds_up_the_distances_to_the_other_filters(kind: str) -> None:
    # (1, 4) to (-2, 5): sqrt(9 + 1); (1, 4) to (3, -6): sqrt(4 + 100); (-2, 5) to (3, -6): sqrt(25 + 121)
    ab, ac, bc = math.sqrt(10), math.sqrt(104), math.sqrt(146)
    assert channels_of(fpgm, context(Net(kind))) == pytest.approx([ab + ac, ab + bc, ac + bc], rel=1e-12)


def test_fpgm_does_not_see_a_shift_of_all_filters_where_magnitude_does() -> None:
    shifted = Net("linear", W + 10)
    assert channels_of(fpgm, context(shifted)) == pytest.approx(channels_of(fpgm, context()), rel=1e-6)


def test_fpgm_gives_equal_filters_the_distance_zero() -> None:
    same = Net("linear", torch.tensor([[1000.1, 0.1]]).repeat(3, 1))
    assert channels_of(fpgm, context(same)) == [0.0, 0.0, 0.0]


def values(scores: Scores) -> dict[str, list[float]]:
    return {name: sorted(v.double().flatten().tolist()) for name, v in scores.items()}


def test_shuffled_has_the_magnitudes_of_each_layer_in_other_places() -> None:
    found = shuffled(context_of("dummy"))
    true = l1(context_of("dummy"))
    assert values(found) == values(true)
    assert all((found[name] == true[name]).float().mean() < 0.1 for name in true)


def test_shuffled_keeps_the_layer_densities_of_magnitude_pruning() -> None:
    mixed, true = (weight.rank(context_of("dummy"), c, global_).cut(0.7, "params") for c in (shuffled, l1))
    assert {n: int(m.sum()) for n, m in mixed.masks.items()} == {n: int(m.sum()) for n, m in true.masks.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_shuffledfilters_has_the_norms_of_each_layer_in_another_order(kind: str) -> None:
    found = [tuple(channels_of(shuffledfilters, context(Net(kind), seed=seed))) for seed in range(40)]
    # |1| + |4|, |-2| + |5|, |3| + |-6|: all six orders come up in 40 draws, unless (5/6)^40 x 6 = .4 % happens.
    assert {tuple(sorted(scores)) for scores in found} == {(5.0, 7.0, 9.0)}
    assert len(set(found)) == 6


@pytest.mark.parametrize("criterion", [shuffled, shuffledfilters])
def test_the_controls_follow_the_seed(criterion: object) -> None:
    first, again, other = (criterion(context_of("dummy", seed)) for seed in (1, 1, 2))  # type: ignore[operator]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert shuffled.random and shuffledfilters.random


def test_unlike_is_the_squared_distance_as_a_share_of_the_squares() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        model[1].weight.copy_(torch.tensor([[-1.0, 0.0], [0.0, 2.0]]))
    # (4 + 4 + 9 + 4) / (30 + 5)
    assert {name: float(s) for name, s in unlike(given(model, (torch.ones(1, 2),))).items()} == {"1<-0": 21 / 35}


def test_bnscale_is_the_magnitude_of_the_scales_of_batchnorms_that_have_one() -> None:
    model = nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False), nn.GroupNorm(1, 2)
    )
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([0.5, -2.0, 0.0]))
    assert {k: v.tolist() for k, v in bnscale(given(model, (torch.ones(2, 2),))).items()} == {"1": [0.5, 2.0, 0.0]}
    with pytest.raises(NotApplicable, match="no BatchNorm"):
        bnscale(given(nn.Sequential(*model[2:]), (torch.ones(2, 3),)))


def test_rownorm_is_the_square_of_a_weight_and_the_norm_of_a_row() -> None:
    assert weights_of(rownorm, context())["first"].tolist() == [[1, 16], [4, 25], [9, 36]]
    assert channels_of(rownorm, context()) == pytest.approx([math.sqrt(17), math.sqrt(29), math.sqrt(45)])


def test_random_scores_are_even_draws_of_the_prune_stream_for_each_weight() -> None:
    found = random(context_of("dcgan"))
    joined = torch.cat([values.flatten() for values in found.values()])
    assert 0 <= joined.min() < 0.01 and 0.99 < joined.max() < 1 and joined.mean() == pytest.approx(0.5, abs=0.02)
    rng = context_of("dcgan").rng
    first = next(iter(found.values()))
    assert torch.equal(first, torch.rand(first.shape, generator=rng, dtype=torch.float64))


def test_which_criteria_draw_at_random_give_several_draws_or_score_readers() -> None:
    which = {
        rule: {name for name in CRITERIA if getattr(CRITERIA[name], rule)} for rule in ("random", "draws", "reads")
    }
    assert which["random"] == {"random", "shuffled", "shuffledfilters"}
    assert which["draws"] == which["reads"] == {"taylor", "dguided", "reconstruct"}
