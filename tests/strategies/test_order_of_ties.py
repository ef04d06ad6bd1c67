"""Between equal scores the order is that of the layers, and within a layer that of its weights or channels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from strategies.allocation import Allocation, global_, uniform
from strategies.base import Context, Criterion, Scores
from strategies.granularity.block import block
from strategies.granularity.channel import channel
from strategies.granularity.nm import pattern
from strategies.granularity.quantised import QuantisedGranularity
from strategies.granularity.weight import weight
from tests.strategies.nets import context as context_of

FEW = st.sampled_from([0.0, 0.5, 1.0])
"""So few values that nearly all scores are equal to others."""


def model() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).eval()


def scored(values: dict[str, Tensor]) -> Criterion:
    def score(context: Context) -> Scores:
        return values

    return Criterion("given", score, "test", "given")


def context() -> Context:
    return context_of(model(), (torch.ones(1, 3),))


@settings(deadline=None)
@given(st.lists(FEW, min_size=42, max_size=42), st.integers(0, 41))
def test_equal_weights_go_in_the_order_of_layers_rows_and_columns(numbers: list[float], count: int) -> None:
    shapes = {"0": (4, 3), "2": (5, 4), "4": (2, 5)}
    parts = torch.tensor(numbers).split([12, 20, 10])
    scores = {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
    masks = weight.rank(context(), scored(scores), global_).cut(count / 42, "params").masks
    gone = (~torch.cat([masks[name].flatten() for name in shapes])).nonzero().flatten().tolist()
    assert gone == sorted(sorted(range(42), key=lambda place: (numbers[place], place))[:count])


@pytest.mark.parametrize("allocation", [global_, uniform], ids=lambda a: a.name)
def test_of_equal_weights_a_smaller_level_takes_a_part_of_what_a_larger_one_takes(allocation: Allocation) -> None:
    scores = {"0": torch.ones(4, 3), "2": torch.ones(5, 4), "4": torch.ones(2, 5)}
    ranking = weight.rank(context(), scored(scores), allocation)
    before = ranking.cut(0.2, "params").masks
    after = ranking.cut(0.6, "params").masks
    assert all(not (after[name] & ~before[name]).any() for name in scores)


def test_all_equal_weights_of_the_first_layer_go_first() -> None:
    scores = {"0": torch.ones(4, 3), "2": torch.ones(5, 4), "4": torch.ones(2, 5)}
    masks = weight.rank(context(), scored(scores), global_).cut(14 / 42, "params").masks
    assert not masks["0"].any() and masks["4"].all()
    assert masks["2"].flatten().tolist() == [False, False, *[True] * 18]


@settings(deadline=None, max_examples=30)
@given(st.lists(FEW, min_size=9, max_size=9))
def test_equal_channels_go_in_the_order_of_groups_and_channels_and_the_last_of_the_highest_stays(
    numbers: list[float],
) -> None:
    first, second = numbers[:4], numbers[4:]
    scores = {"0": torch.tensor(first), "2": torch.tensor(second)}
    ranking = channel.rank(context(), scored(scores), global_)
    stays = {(k, max(range(len(v)), key=lambda c: (v[c], c))) for k, v in enumerate((first, second))}
    every = [(v[c], k, c) for k, v in enumerate((first, second)) for c in range(len(v)) if (k, c) not in stays]
    assert list(ranking.order) == [(k, c) for _, k, c in sorted(every)]


def test_of_equal_weights_in_a_pattern_the_first_stay() -> None:
    assert pattern(torch.ones(1, 8), 1, 2, 4).int().tolist() == [[1, 1, 0, 0, 1, 1, 0, 0]]


def test_equal_blocks_and_levels_go_in_the_order_of_the_network() -> None:
    made = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)).eval()
    found = context_of(made, (torch.ones(1, 3),))
    ones = scored({str(k): torch.ones_like(made[k].weight) for k in range(4)})
    assert block.rank(found, ones, global_).blocks == ("1", "2")
    order = QuantisedGranularity(3).rank(found, ones, global_).order
    assert list(order) == sorted(order)
