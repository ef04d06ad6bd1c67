"""How scores become priorities that are compared over layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from strategies.allocation import (
    Allocation,
    Layout,
    erk,
    global_,
    global_mean,
    lamp,
    lowfirst,
    quantiles,
    sensitivity_,
    uniform,
)
from strategies.base import Context
from strategies.composition import Granularity, Strategy
from strategies.criteria import l1
from strategies.granularity.channel import channel
from strategies.granularity.weight import weight
from tests.helpers.properties import examples
from tests.strategies.nets import context_of, generator, latents, layout_of

SCORES = {"a": torch.tensor([3.0, 1.0, 2.0]), "b": torch.tensor([30.0, 10.0])}


LAYOUT = layout_of(nn.Identity())
ALL = (global_, global_mean, uniform, erk, lamp, sensitivity_, lowfirst)


def order(allocation: Allocation, scores: dict[str, Tensor]) -> list[tuple[str, int]]:
    priorities = allocation(scores, LAYOUT)
    units = [(float(v), name, k) for name, values in priorities.items() for k, v in enumerate(values)]
    return [(name, k) for _, name, k in sorted(units)]


def test_global_compares_scores_as_they_are() -> None:
    assert {k: v.tolist() for k, v in global_(SCORES, LAYOUT).items()} == {"a": [3.0, 1.0, 2.0], "b": [30.0, 10.0]}
    assert order(global_, SCORES) == [("a", 1), ("a", 2), ("a", 0), ("b", 1), ("b", 0)]


def test_global_mean_divides_by_the_mean_of_each_group() -> None:
    assert {k: v.tolist() for k, v in global_mean(SCORES, LAYOUT).items()} == {"a": [1.5, 0.5, 1.0], "b": [1.5, 0.5]}


def test_global_mean_does_not_care_how_large_the_scores_of_a_group_are() -> None:
    scaled = {"a": SCORES["a"] * 1024, "b": SCORES["b"] / 64}
    assert {k: v.tolist() for k, v in global_mean(scaled, LAYOUT).items()} == {
        k: v.tolist() for k, v in global_mean(SCORES, LAYOUT).items()
    }


def test_global_mean_of_a_group_without_any_importance_is_zero() -> None:
    assert global_mean({"a": torch.zeros(3)}, LAYOUT)["a"].tolist() == [0.0, 0.0, 0.0]


def test_uniform_is_the_quantile_within_the_layer() -> None:
    priorities = uniform(SCORES, LAYOUT)
    assert priorities["a"].tolist() == pytest.approx([2.5 / 3, 0.5 / 3, 1.5 / 3])
    assert priorities["b"].tolist() == [0.75, 0.25]


@examples(50)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0, 1), st.integers(0, 1000))
def test_uniform_takes_the_same_share_of_each_layer_within_one_unit(sizes: list[int], share: float, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    scores = {str(k): torch.rand(n, generator=rng) * 10**k for k, n in enumerate(sizes)}
    first = order(uniform, scores)[: round(share * sum(sizes))]
    reached = len(first) / sum(sizes)
    for name, values in scores.items():
        gone = sum(layer == name for layer, _ in first)
        assert abs(gone - reached * len(values)) <= 1


@pytest.mark.parametrize("allocation", [global_, global_mean, uniform], ids=lambda a: a.name)
def test_the_order_within_a_layer_is_that_of_the_scores(allocation: Allocation) -> None:
    scores = torch.rand(20, generator=torch.Generator().manual_seed(0))
    priorities = allocation({"a": scores}, LAYOUT)["a"]
    assert torch.equal(priorities.argsort(), scores.argsort())


@pytest.mark.parametrize("allocation", [global_, global_mean, uniform], ids=lambda a: a.name)
def test_the_scores_stay_as_they_were(allocation: Allocation) -> None:
    scores = {"a": torch.tensor([3.0, 1.0], dtype=torch.float64)}
    allocation(scores, LAYOUT)
    assert scores["a"].tolist() == [3.0, 1.0]


def test_every_allocation_has_a_formula_of_its_own() -> None:
    """`bench.sweep.keys` tells allocations apart by their formula."""
    assert len({a.formula for a in ALL}) == len(ALL)


def shaped(shapes: dict[str, tuple[int, ...]]) -> Layout:
    layout = layout_of(nn.Identity())
    return replace(layout, shapes={name: torch.Size(shape) for name, shape in shapes.items()})


def test_erk_gives_each_layer_the_density_of_its_formula() -> None:
    """a: (4 + 4 + 2 + 2) / 64 = .1875; b: (2 + 8) / 16 = .625. A half of all 80 weights: e (12 + 10) = 40 while b is
    not full, e = 1.818 makes b 1.136 > 1, so b stays whole (16) and a keeps 24 of 64."""
    rng = torch.Generator().manual_seed(0)
    scores = {"a": torch.rand(64, generator=rng), "b": torch.rand(16, generator=rng)}
    priorities = erk(scores, shaped({"a": (4, 4, 2, 2), "b": (2, 8)}))
    kept = sorted(((float(v), name) for name, values in priorities.items() for v in values), reverse=True)[:40]
    assert sum(name == "b" for _, name in kept) == 16
    # A tenth, e (12 + 10) = 8: a keeps 8 * 12 / 22 = 4.4, b keeps 3.6.
    few = [name for _, name in kept[:8]]
    assert few.count("a") == 4


def test_erk_keeps_the_order_within_a_layer() -> None:
    scores = torch.rand(20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(erk({"a": scores}, shaped({"a": (4, 5)}))["a"].argsort(), scores.argsort())


def test_lamp_is_the_square_over_the_squares_that_are_as_large() -> None:
    """3, 1, 2: 1 / (1 + 4 + 9), 4 / (4 + 9), 9 / 9."""
    found = lamp({"a": torch.tensor([3.0, 1.0, 2.0])}, LAYOUT)["a"]
    assert found.tolist() == pytest.approx([1.0, 1 / 14, 4 / 13])


def test_lamp_never_removes_the_last_weight_of_a_layer_before_all_others_are_gone() -> None:
    rng = torch.Generator().manual_seed(0)
    scores = {str(k): torch.rand(n, generator=rng) * 100**k for k, n in enumerate((5, 50, 500))}
    last = order(lamp, scores)[-3:]
    assert {name for name, _ in last} == {"0", "1", "2"}


def test_lamp_of_a_layer_of_zeros_is_zero() -> None:
    assert lamp({"a": torch.zeros(3)}, LAYOUT)["a"].tolist() == [0.0, 0.0, 0.0]


def test_low_layers_go_first_but_a_tenth_of_each_stays_to_the_end() -> None:
    scores = {"first": torch.arange(10.0), "second": torch.arange(20.0)}
    names = [name for name, _ in order(lowfirst, scores)]
    assert names[:9] == ["first"] * 9
    assert names[9:27] == ["second"] * 18
    assert sorted(names[27:]) == ["first", "second", "second"]


class TwoLayers(nn.Module):
    """y = b (a x): the second layer multiplies by 10, the first by 1."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.a.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
            self.b.weight.copy_(torch.tensor([[1.0, 0.001], [0.001, 1.0]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


def test_sensitivity_is_the_distance_of_the_output_when_one_layer_alone_is_pruned() -> None:
    """Without any weight of a (a quarter of it stays: one), without half of it: the zeros, which change nothing."""
    x = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    found = Context(TwoLayers(), (x,), torch.Generator(), draw_inputs=lambda n, rng: (x,))
    seen: list[tuple[str, int]] = []

    def without(name: str, gone: Tensor) -> nn.Module:
        seen.append((name, len(gone)))
        model = TwoLayers()
        weights = model.get_submodule(name).weight
        with torch.no_grad():
            weights.view(-1)[gone] = 0.0
        return model

    scores = {name: w.abs().flatten() for name, w in found.weights()}
    layout = Layout(found, {name: w.shape for name, w in found.weights()}, without)
    priorities = sensitivity_(scores, layout)
    assert seen == [(name, n) for name in "ab" for n in (0, 1, 2, 3, 4 - 1, 4 - 1)]
    # a: nothing changes up to a half (its zeros); at three quarters its 1 at [0, 0] is gone: y loses (2, .002) of
    # four numbers, (4 + 4e-6) / 4; quantiles are .125 (0), .375 (0), .625 (first 1), .875 (second 1).
    gone = (4 + 4e-6) / 4
    zeros, ones = priorities["a"][[1, 2]], priorities["a"][[0, 3]]
    assert zeros.tolist() == [0.0, 0.0]
    assert ones.tolist() == pytest.approx([gone / 2, gone], rel=1e-6)
    # b: the thousandths are worth (.001 * 2)^2 / 4 and (.001 * 4)^2 / 4 more, the first at a quarter.
    assert 0 < float(priorities["b"][1]) < float(priorities["b"][2]) < 1e-5


@pytest.mark.parametrize("granularity", [weight, channel], ids=lambda g: g.name)
@pytest.mark.parametrize("allocation", ALL, ids=lambda a: a.name)
@pytest.mark.parametrize("name", ["dummy", "mlp", "residual"])
def test_every_allocation_splits_a_real_generator(granularity: Granularity, allocation: Allocation, name: str) -> None:
    found = replace(context_of(name), draw_inputs=lambda n, rng: latents(name, n))
    ranking = Strategy("own", l1, granularity, allocation).rank(found)
    before = {key: value.clone() for key, value in generator(name).state_dict().items()}
    for sparsity in (0.2, 0.6):
        assert ranking.cut(sparsity, "params").sparsity("params") == pytest.approx(sparsity, abs=0.15)
    assert all(torch.equal(value, before[key]) for key, value in found.generator.state_dict().items())


def test_quantiles_are_the_middles_of_the_places() -> None:
    assert quantiles(torch.tensor([5.0, 1.0, 3.0])).tolist() == pytest.approx([5 / 6, 1 / 6, 3 / 6])


def test_low_layers_first_orders_a_layer_by_its_scores_and_starts_the_rest_together() -> None:
    """Ten units are at .05, .15, ..., .95 of their layer: nine go early, from 0 to 1, the last one behind all."""
    scores = {"first": torch.arange(10.0).flip(0), "second": torch.arange(10.0)}
    found = lowfirst(scores, LAYOUT)
    early = [(k + 0.5) / 10 / 0.9 for k in range(9)]
    assert found["first"].flip(0).tolist() == pytest.approx([*early, 2.95])
    assert found["second"].tolist() == pytest.approx([*(1 + place for place in early), 2.95])


def test_a_unit_at_nine_tenths_of_its_layer_stays_to_the_end() -> None:
    found = lowfirst({"a": torch.arange(5.0)}, LAYOUT)["a"]
    assert found.tolist() == pytest.approx([0.1 / 0.9, 0.3 / 0.9, 0.5 / 0.9, 0.7 / 0.9, 1.9])


def test_sensitivity_looks_at_32_images_and_at_no_prefix_as_harmless_as_a_shorter_one() -> None:
    """The output's distances are 3 without one unit and 1 without more: a longer prefix is at 3 too."""
    asked = []

    def draw(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        asked.append(count)
        return (torch.ones(1, 1),)

    class Shift(nn.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = by

        def forward(self, x: Tensor) -> Tensor:
            return x + self.by

    def without(name: str, gone: Tensor) -> nn.Module:
        return Shift({0: 0.0, 1: 3**0.5}.get(len(gone), 1.0))

    context = replace(context_of("mlp"), generator=Shift(0.0), draw_inputs=draw)
    scores = {"a": torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0, 9.0, 8.0, 7.0, 6.0, 5.0])}
    priorities = sensitivity_(scores, Layout(context, {"a": torch.Size([10])}, without))["a"]
    assert asked == [32]
    # Half a tenth: half of what a tenth costs; all behind it 3.
    order = scores["a"].argsort()
    assert priorities[order].tolist() == pytest.approx([1.5, *[3.0] * 9])
