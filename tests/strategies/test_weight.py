"""Single weights: exact counts, nested masks, zeros baked in."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from strategies.allocation import Allocation, global_, uniform
from strategies.base import Context, Criterion, Infeasible, Scores
from strategies.criteria import l1, random
from strategies.granularity.weight import WeightRanking, WeightRemoval, weight
from strategies.layers import named_weights, prunable_layers
from strategies.work import Work
from tests.helpers.properties import examples
from tests.strategies.nets import FACTORIES, context, context_of, generator

networks = st.sampled_from(list(FACTORIES))
allocations = st.sampled_from(["global", "uniform"])
sparsities = st.floats(0, 0.99)

ALLOCATIONS: dict[str, Allocation] = {"global": global_, "uniform": uniform}


@functools.cache
def ranked(name: str, allocation: str) -> tuple[Context, WeightRanking]:
    found = context_of(name)
    return found, weight.rank(found, l1, ALLOCATIONS[allocation])


def by_hand(*values: list[float]) -> tuple[nn.Module, Context]:
    """Linear layers with one row of these weights each, one behind the other."""
    layers = [nn.Linear(len(row), 1, bias=False) for row in values]
    for layer, row in zip(layers, values, strict=True):
        layer.weight.data.copy_(torch.tensor([row]))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, x: Tensor) -> Tensor:
            return sum((layer(x[:, : layer.in_features]) for layer in self.layers), torch.zeros(1))

    model = Net().eval()
    return model, context(model, (torch.ones(1, max(map(len, values))),))


def removed(removal: WeightRemoval) -> dict[str, list[int]]:
    return {name: (~mask).flatten().nonzero().flatten().tolist() for name, mask in removal.masks.items()}


@examples(40)
@given(networks, allocations, sparsities)
def test_exactly_the_rounded_number_of_weights_goes(name: str, allocation: str, sparsity: float) -> None:
    found, ranking = ranked(name, allocation)
    removal = ranking.cut(sparsity, "params")
    total = sum(w.numel() for _, w in found.weights())
    gone = sum(int((~mask).sum()) for mask in removal.masks.values())
    assert gone == round(sparsity * total)
    assert removal.sparsity("params") == 1 - (total - gone) / total


@examples(40)
@given(networks, allocations, st.sampled_from(["params", "macs"]), sparsities, sparsities)
def test_what_is_removed_at_a_low_sparsity_stays_removed_at_a_higher_one(
    name: str, allocation: str, target: str, one: float, other: float
) -> None:
    _, ranking = ranked(name, allocation)
    low, high = (ranking.cut(s, target).masks for s in sorted([one, other]))
    assert all(bool((low[layer] | ~high[layer]).all()) for layer in low)


@examples(40)
@given(networks, allocations, sparsities)
def test_a_share_of_the_macs_is_met_within_one_weight(name: str, allocation: str, sparsity: float) -> None:
    found, ranking = ranked(name, allocation)
    removal = ranking.cut(sparsity, "macs")
    uses = {layer: found.work.per_entry(layer) for layer, _ in found.weights()}
    total = sum(w.numel() * uses[layer] for layer, w in found.weights())
    gone = sum(int((~mask).sum()) * uses[layer] for layer, mask in removal.masks.items())
    assert abs(gone - sparsity * total) <= max(uses.values()) / 2 + 1e-6
    assert removal.sparsity("macs") == pytest.approx(gone / total, abs=1e-12)


@examples(40)
@given(networks, allocations, sparsities)
def test_masked_weights_are_zero_and_everything_else_is_bit_equal(name: str, allocation: str, sparsity: float) -> None:
    found, ranking = ranked(name, allocation)
    removal = ranking.cut(sparsity, "params")
    pruned = removal.apply(found.generator)
    expected = {key: value.clone() for key, value in found.generator.state_dict().items()}
    for layer, mask in removal.masks.items():
        expected[f"{layer}.weight"][~mask] = 0.0
    assert all(torch.equal(value, expected[key]) for key, value in pruned.generator.state_dict().items())
    assert not pruned.physical
    assert {cut.name: cut.kept for cut in pruned.layers} == {k: int(m.sum()) for k, m in removal.masks.items()}


def test_applying_leaves_the_original_untouched() -> None:
    model = generator("dcgan")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = context(model, (torch.zeros(1, 8),))
    pruned = weight.rank(found, l1, global_).cut(0.5, "params").apply(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in pruned.generator.parameters()}


def test_the_smallest_magnitudes_of_all_layers_go_first() -> None:
    _, found = by_hand([3.0, -0.1, 5.0], [-4.0, 0.2, 6.0])
    removal = weight.rank(found, l1, global_).cut(0.5, "params")
    assert removed(removal) == {"layers.0": [0, 1], "layers.1": [1]}


def test_uniform_takes_the_smallest_of_each_layer() -> None:
    _, found = by_hand([0.1, 0.2, 0.3, 0.4], [10.0, -20.0, -5.0, 40.0])
    removal = weight.rank(found, l1, uniform).cut(0.5, "params")
    assert removed(removal) == {"layers.0": [0, 1], "layers.1": [0, 2]}


def test_ties_go_in_the_order_of_the_layers() -> None:
    _, found = by_hand([1.0, 1.0], [1.0, 1.0])
    assert removed(weight.rank(found, l1, global_).cut(0.75, "params")) == {"layers.0": [0, 1], "layers.1": [0]}


def test_below_removes_what_is_below_the_threshold_and_not_what_equals_it() -> None:
    _, found = by_hand([3.0, -0.5, 5.0], [-4.0, 0.25, 0.5])
    ranking = weight.rank(found, l1, global_)
    assert removed(ranking.at(0.5)) == {"layers.0": [], "layers.1": [1]}
    assert removed(ranking.at(0.5000001)) == {"layers.0": [1], "layers.1": [1, 2]}


def test_a_target_that_leaves_nothing_is_infeasible_and_says_the_maximum() -> None:
    _, found = by_hand([1.0, 2.0], [3.0, 4.0])
    with pytest.raises(Infeasible, match=r"0\.9 of params cannot be removed; the maximum is 0\.7500") as caught:
        weight.rank(found, l1, global_).cut(0.9, "params")
    assert (caught.value.requested, caught.value.maximum) == (0.9, 0.75)


def test_the_maximum_of_macs_counts_macs() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(4, 1, bias=False)).eval()
    with torch.no_grad():
        model[0].weight.fill_(5.0)
        model[2].weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    ranking = weight.rank(context(model, (torch.ones(1, 1, 2, 2),)), l1, global_)
    with pytest.raises(Infeasible) as caught:  # the convolution has one weight and half of the MACs
        ranking.cut(0.9, "macs")
    assert caught.value.maximum == 0.5
    assert ranking.cut(caught.value.maximum, "macs").sparsity("macs") == 0.5


def test_what_was_removed_before_goes_first_even_if_it_has_grown() -> None:
    model, found = by_hand([1.0, 2.0, 3.0, 4.0])
    first = weight.rank(found, l1, global_).cut(0.25, "params")
    prunable_layers(model)["layers.0"].weight.data[0, 0] = 100.0
    assert removed(weight.rank(found, l1, global_, after=first).cut(0.5, "params")) == {"layers.0": [0, 1]}


def test_holding_zeroes_in_place() -> None:
    model, found = by_hand([1.0, 2.0, 3.0, 4.0])
    weight.rank(found, l1, global_).cut(0.5, "params").hold(model)
    assert dict(named_weights(model))["layers.0"].tolist() == [[0.0, 0.0, 3.0, 4.0]]


def test_random_masks_follow_the_seed() -> None:
    def masks(seed: int) -> Tensor:
        removal = weight.rank(context_of("mlp", seed), random, global_).cut(0.5, "params")
        return torch.cat([mask.flatten() for mask in removal.masks.values()])

    assert torch.equal(masks(0), masks(0))
    assert not torch.equal(masks(0), masks(1))


def criterion_of(change: Scores) -> Criterion:
    return Criterion("odd", lambda ctx: {name: w.abs() for name, w in ctx.weights()} | change, "test", "")


def test_scores_of_another_shape_are_refused_with_the_layer() -> None:
    _, found = by_hand([1.0, 2.0])
    with pytest.raises(ValueError, match=r"'odd' gave \(3,\) for layers\.0, expected one score a weight \(1, 2\)"):
        weight.rank(found, criterion_of({"layers.0": torch.zeros(3)}), global_)


def test_scores_that_are_not_numbers_are_refused() -> None:
    _, found = by_hand([1.0, 2.0])
    with pytest.raises(ValueError, match="not numbers"):
        weight.rank(found, criterion_of({"layers.0": torch.tensor([[1.0, float("nan")]])}), global_)


@pytest.mark.parametrize(
    ("asked", "gone"), [(0.0, 0), (0.04, 0), (0.06, 1), (0.14, 1), (0.16, 2), (0.32, 2), (0.33, 3), (0.57, 3), (0.7, 4)]
)
def test_weights_that_are_not_all_used_alike_cost_their_share_of_the_products(asked: float, gone: int) -> None:
    """Of 10 products ``a`` takes part in 2 for its 2 weights, ``b`` in 5 for 2, and 3 are of no weight: weights cost
    1, 1, 2.5 and 2.5 tenths."""
    work = Work({"a": 2, "b": 5}, {"a": 2, "b": 2}, 10)
    assert (work.per_entry("a"), work.per_entry("b"), work.outside) == (1, 2.5, 3)
    shapes = {"a": torch.Size([2]), "b": torch.Size([1, 2])}
    ranking = WeightRanking(torch.arange(4), torch.arange(4.0), shapes, work)
    if gone == 4:
        with pytest.raises(Infeasible) as caught:
            ranking.cut(asked, "macs")
        assert caught.value.maximum == pytest.approx(0.45)
        return
    removal = ranking.cut(asked, "macs")
    kept = torch.cat([mask.flatten() for mask in removal.masks.values()])
    assert kept.tolist() == [k >= gone for k in range(4)]
    assert {name: mask.shape for name, mask in removal.masks.items()} == shapes


@pytest.mark.parametrize(("asked", "gone"), [(0.0, 0), (0.12, 0), (0.13, 1), (0.5, 2), (0.87, 3)])
def test_the_rounded_number_of_weights_goes(asked: float, gone: int) -> None:
    work = Work({"a": 4}, {"a": 4}, 4)
    ranking = WeightRanking(torch.tensor([3, 0, 2, 1]), torch.arange(4.0), {"a": torch.Size([4])}, work)
    mask = ranking.cut(asked, "params").masks["a"]
    assert (~mask).nonzero().flatten().tolist() == sorted([3, 0, 2, 1][:gone])
    with pytest.raises(Infeasible) as caught:
        ranking.cut(0.9, "params")
    assert caught.value.maximum == 0.75
