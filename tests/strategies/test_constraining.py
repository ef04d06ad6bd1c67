"""Strategies under constraints: known answers on small networks, and what holds for all of them at any level."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from strategies.allocation import global_
from strategies.base import Context, Infeasible, Level, NotApplicable, Pruned, Target
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy
from strategies.constraining import ALWAYS, NEVER, constrained, placed
from strategies.constraints import Constraints
from strategies.criteria import l1
from strategies.granularity.channel import channel
from strategies.granularity.weight import weight
from strategies.layers import prunable_layers, widths
from tests.helpers.properties import examples
from tests.strategies.nets import FACTORIES, context, context_of

WEIGHTS, CHANNELS = "l1-weight-global", "l1-channel-global"


def under(table: dict[str, Any], name: str = CHANNELS) -> Strategy:
    return constrained(STRATEGIES[name], Constraints.of(table))


# Two layers, by hand: 6 hidden neurons that are worth 1 to 6 in what makes them, 3 inputs and 2 outputs.


def two_layers() -> tuple[nn.Module, Context]:
    model = nn.Sequential(nn.Linear(3, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(1.0, 7.0)[:, None].expand(6, 3) / 3)
        model[2].weight.copy_(torch.arange(1.0, 13.0).view(2, 6) / 10)
    return model.eval(), context(model, (torch.ones(1, 3),))


def raw(table: dict[str, Any], granularity: Any = channel) -> Strategy:
    """Priorities are the sums of magnitudes themselves."""
    return constrained(Strategy("l1", l1, granularity, global_), Constraints.of(table))


def cut_by_hand(table: dict[str, Any], sparsity: float, granularity: Any = channel) -> Pruned:
    model, given_ = two_layers()
    return raw(table, granularity).rank(given_).cut(sparsity, "params").apply(model)


def hidden(pruned: Pruned) -> list[int]:
    """The neurons that are left."""
    kept = pruned.kept.get("0", {}).get("out", torch.arange(6))
    return kept.tolist()  # type: ignore[no-any-return]


# Each neuron has 3 + 2 of the 30 weights: a sixth.


@pytest.mark.parametrize(
    ("table", "sparsity", "left"),
    [
        ({}, 0.5, [3, 4, 5]),
        ({"multiple": 2}, 0.5, [2, 3, 4, 5]),  # a third and two thirds are as near: the wider one
        ({"multiple": 2}, 0.55, [4, 5]),
        ({"multiple": 4}, 0.3, [2, 3, 4, 5]),  # 6 is no multiple of 4: the first two take what is over
        ({"at_least": 3}, 0.4, [2, 3, 4, 5]),
        ({"at_least": 3}, 0.5, [3, 4, 5]),
        ({"cap": 0.34}, 0.3, [2, 3, 4, 5]),
        ({"ratios": {"0": 0.5}}, 0.5, [3, 4, 5]),
        ({"ratios": {"0": 0.5}, "multiple": 4}, 0.3333, [2, 3, 4, 5]),
        ({"exclude": ["2"]}, 0.5, [3, 4, 5]),  # its inputs are made by another layer
    ],
)
def test_which_neurons_of_two_layers_are_left(table: dict[str, Any], sparsity: float, left: list[int]) -> None:
    pruned = cut_by_hand(table, sparsity)
    assert hidden(pruned) == left
    assert widths(pruned.generator) == {"0": (len(left), 3), "2": (2, len(left))}


@pytest.mark.parametrize(
    ("table", "sparsity", "maximum"),
    [
        ({"at_least": 3}, 0.7, 0.5),
        ({"multiple": 4}, 0.7, 1 / 3),
        ({"cap": 0.34}, 0.7, 1 / 3),
        ({"exclude": ["0"]}, 0.1, 0.0),
        ({"ratios": {"0": 0.5}}, 0.7, 0.5),
    ],
)
def test_what_cannot_be_reached_is_refused_with_the_largest_that_can(
    table: dict[str, Any], sparsity: float, maximum: float
) -> None:
    with pytest.raises(Infeasible) as caught:
        cut_by_hand(table, sparsity)
    assert caught.value.maximum == pytest.approx(maximum)
    words = Constraints.of(table).words
    said = f"{sparsity:g} of params cannot be removed with {words}; the maximum is {maximum:.4f}"
    assert str(caught.value) == said


def test_less_than_what_always_goes_is_refused_with_the_least_that_can() -> None:
    with pytest.raises(Infeasible) as caught:
        cut_by_hand({"ratios": {"0": 0.5}}, 0.2)
    assert str(caught.value) == (
        '0.2 of params is less than what always goes with ratios = {"0" = 0.5}; the minimum is 0.5000'
    )
    assert caught.value.maximum == 0.5  # what a schedule on its way takes instead


def test_what_a_message_says_can_be_reached_can_be_asked_for() -> None:
    with pytest.raises(Infeasible, match=re.escape("0.6667")):
        cut_by_hand({"at_least": 2}, 0.7)
    assert hidden(cut_by_hand({"at_least": 2}, 0.6667)) == [4, 5]


def test_single_weights_of_two_layers() -> None:
    # 18 weights of 1/3 to 2, three of each, then 12 of .1 to 1.2; the eight smallest: .1 .2 .3 1/3 1/3 1/3 .4 .5
    plain_ = cut_by_hand({}, 8 / 30, weight).masks
    assert [int((~mask).sum()) for mask in plain_.values()] == [3, 5]
    excluded = cut_by_hand({"exclude": ["0"]}, 8 / 30, weight).masks
    assert [int((~mask).sum()) for mask in excluded.values()] == [0, 8]
    capped = cut_by_hand({"cap": 0.25}, 7 / 30, weight).masks  # at most 4 of 18, and 3 of 12
    assert [int((~mask).sum()) for mask in capped.values()] == [4, 3]
    shared = cut_by_hand({"ratios": {"2": 0.5}}, 8 / 30, weight).masks
    assert [int((~mask).sum()) for mask in shared.values()] == [2, 6]
    assert shared["2"].tolist() == [[False] * 6, [True] * 6]


def test_packs_go_by_the_mean_priority_of_their_members() -> None:
    priorities = {"a": torch.tensor([4.0, 1.0, 3.0, 2.0]), "b": torch.tensor([2.0, 2.5])}
    places, keys = placed(priorities, {"a": (0, 2), "b": (0, 1)}, {})
    assert keys.tolist() == [1.5, 2.0]
    assert places["a"].tolist() == [NEVER, 0.0, NEVER, 0.0]
    assert places["b"].tolist() == [1.0, NEVER]


def test_units_that_are_gone_come_first_and_those_of_a_share_before_all() -> None:
    priorities = {"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([1.0, 2.0])}
    gone = {"a": torch.tensor([False, False, True])}
    places, keys = placed(priorities, {"a": (0, 1, 2), "b": (1,)}, gone)
    assert places["b"].tolist() == [ALWAYS, NEVER]
    assert places["a"].tolist() == [1.0, NEVER, 0.0]
    assert keys.tolist() == [-torch.inf, 1.0]


def test_equal_packs_keep_the_order_of_their_group_whatever_rounding_does() -> None:
    tenth = torch.full((7,), 0.1)
    places, keys = placed({"a": tenth}, {"a": (0, 1, 4, 7)}, {})
    assert places["a"].tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert keys.tolist() == sorted(keys.tolist())


def test_a_knob_removes_the_packs_below_it() -> None:
    model, given_ = two_layers()
    ranking = raw({"multiple": 2}).rank(given_)
    assert [hidden(ranking.at(value).apply(model)) for value in (1.5, 1.6, 3.5, 3.6)] == [
        [0, 1, 2, 3, 4, 5],
        [2, 3, 4, 5],
        [2, 3, 4, 5],
        [4, 5],
    ]


# Properties, on networks whose channels are coupled in all ways.

tables = st.fixed_dictionaries(
    {"cap": st.floats(0.2, 0.999)}, optional={"multiple": st.integers(2, 5), "at_least": st.integers(1, 5)}
)
networks = st.sampled_from(list(FACTORIES))
targets: st.SearchStrategy[Target] = st.sampled_from(["params", "macs"])


@functools.cache
def shared(name: str) -> Context:
    return context_of(name)  # one wiring for all


@given(networks, tables, targets, st.lists(st.floats(0, 1), min_size=2, max_size=3))
@examples(20)
def test_channels_under_constraints(name: str, table: dict[str, Any], target: Target, shares: list[float]) -> None:
    """Nested, no group loses more than the cap, widths are multiples, at least so many stay, twins agree."""
    given_ = shared(name)
    ranking = under(table).rank(given_)
    sizes = {group.name: group.size for group in ranking.ranking.coupling.groups}  # type: ignore[attr-defined]
    most = float(ranking._first(len(ranking.keys), target)[1])  # type: ignore[attr-defined]
    removals = [ranking.cut(share * most, target) for share in sorted(shares)]
    gone = [{name: set(x.tolist()) for name, x in r.removed.items()} for r in removals]  # type: ignore[attr-defined]
    for less, more in pairwise(gone):
        assert all(less[key] <= more[key] for key in less)
    for removed in gone:
        for key, channels in removed.items():
            left = sizes[key] - len(channels)
            assert left == sizes[key] or left % table.get("multiple", 1) == 0
            assert left == sizes[key] or left >= table.get("at_least", 1)
            assert len(channels) <= table.get("cap", 1) * sizes[key] + 1e-9
    removals[-1].apply(given_.generator)  # raises where the twin differs


@given(networks, st.floats(0.05, 0.9), targets)
@examples(12)
def test_the_nearest_of_all_allowed_networks_is_taken(name: str, sparsity: float, target: Target) -> None:
    ranking = under({"multiple": 2}).rank(shared(name))
    every = [ranking._first(count, target)[1] for count in range(len(ranking.keys) + 1)]  # type: ignore[attr-defined]
    assert every == sorted(every)
    if sparsity > every[-1]:
        with pytest.raises(Infeasible):
            ranking.cut(sparsity, target)
        return
    found = ranking.cut(sparsity, target).sparsity(target)
    assert abs(found - sparsity) == pytest.approx(min(abs(one - sparsity) for one in every), abs=1e-12)


@given(networks, st.floats(0.05, 0.9), st.floats(0.2, 0.95), targets)
@examples(20)
def test_single_weights_under_constraints(name: str, sparsity: float, cap: float, target: Target) -> None:
    given_ = shared(name)
    layers = prunable_layers(given_.generator)
    first, second = list(layers)[:2]
    ranking = under({"exclude": [first], "cap": cap, "ratios": {second: cap / 2}}, WEIGHTS).rank(given_)
    try:
        masks = ranking.cut(sparsity, target).masks  # type: ignore[attr-defined]
    except Infeasible as error:
        if target == "macs" and error.maximum == 0:
            return
        masks = ranking.cut(error.maximum, target).masks  # type: ignore[attr-defined]
    lost = {key: int((~mask).sum()) for key, mask in masks.items()}
    assert lost[first] == 0
    assert lost[second] == round(cap / 2 * layers[second].weight.numel())
    assert all(count <= cap * layers[key].weight.numel() + 1e-6 for key, count in lost.items())


@pytest.mark.parametrize("name", list(FACTORIES))
@pytest.mark.parametrize(
    "strategy", [WEIGHTS, CHANNELS, "l1-channel-uniform", "l2-group-global", "random-weight-uniform"]
)
def test_constraints_that_bind_nothing_change_nothing(name: str, strategy: str) -> None:
    given_ = shared(name)
    for sparsity in (0.1, 0.5):
        one, other = (
            each.rank(replace(given_, rng=torch.Generator().manual_seed(0))).cut(sparsity, "params")
            for each in (STRATEGIES[strategy], under({"cap": 0.999999}, strategy))
        )
        field = "masks" if "weight" in strategy else "removed"
        for x, y in zip(getattr(one, field).values(), getattr(other, field).values(), strict=True):
            assert torch.equal(x, y)


def test_an_excluded_layer_keeps_all_that_it_makes_and_what_is_coupled_with_it() -> None:
    given_ = context_of("residual")
    pruned = under({"exclude": ["up"]}).rank(given_).cut(0.2, "params").apply(given_.generator)
    found = widths(pruned.generator)
    assert found["stem"][0] == found["up"][0] == 8  # a sum couples them
    assert found["down"][0] < 6


def test_two_layers_of_one_group_cannot_have_two_shares() -> None:
    strategy = under({"ratios": {"stem": 0.25, "up": 0.5}})
    with pytest.raises(NotApplicable, match=r"what 'stem' and 'up' make together has two ratios, 0\.25"):
        strategy.rank(context_of("residual"))


def test_a_pattern_that_matches_no_layer_does_not_fit_the_generator() -> None:
    with pytest.raises(NotApplicable, match=re.escape("exclude: 'stm' matches no layer. Did you mean 'stem'?")):
        under({"exclude": ["stm"]}).rank(context_of("residual"))


class Tied(nn.Module):
    """Two layers use one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.second.weight = self.first.weight

    def forward(self, z: Tensor) -> Tensor:
        found: Tensor = self.last(self.second(torch.relu(self.first(z))))
        return found


def test_a_shared_weight_is_excluded_under_any_of_its_names() -> None:
    given_ = context(Tied().eval(), (torch.ones(1, 4),))
    masks = under({"exclude": ["second"]}, WEIGHTS).rank(given_).cut(0.25, "params").masks  # type: ignore[attr-defined]
    assert bool(masks["first"].all())
    assert int((~masks["last"]).sum()) == 7


# What they say nothing about.


@pytest.mark.parametrize(
    ("strategy", "table", "part"),
    [
        (
            WEIGHTS,
            {"multiple": 8},
            "removes single weights, which leave every width as it is: multiple is for channels.",
        ),
        (WEIGHTS, {"cap": 0.5, "at_least": 8}, "at_least is for channels."),
        ("removal-block", {"exclude": ["a"]}, "'removal-block' removes units of block: constraints are for strategies"),
        ("l1-nm-2-4", {"cap": 0.5}, "removes units of nm"),
    ],
)
def test_strategies_that_they_do_not_fit_are_refused(strategy: str, table: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(part)):
        under(table, strategy)


def test_without_constraints_a_strategy_is_itself() -> None:
    assert constrained(STRATEGIES[WEIGHTS], Constraints()) is STRATEGIES[WEIGHTS]


def test_the_name_has_the_label_behind_it_and_everything_else_is_as_before() -> None:
    found = under({"multiple": 8}, "random-channel-uniform")
    assert found.name == "random-channel-uniform+x8"
    assert found.random
    assert replace(found, name="x").granularity is channel


# In a training.


@pytest.mark.parametrize("table", [{"multiple": 4}, {"at_least": 3}, {"cap": 0.5}, {"ratios": {"net.0": 0.5}}])
def test_what_is_gone_stays_gone_when_scores_change(table: dict[str, Any]) -> None:
    given_ = context_of("flattened")
    strategy = under(table)
    first = strategy.rank(given_).cut(0.1 if "ratios" not in table else 0.45, "params")
    turned = replace(given_, generator=context_of("flattened", seed=5).generator)
    second = strategy.rank(turned, after=first).cut(0.3 if "ratios" not in table else 0.5, "params")
    for name, channels in first.removed.items():  # type: ignore[attr-defined]
        assert set(channels.tolist()) <= set(second.removed[name].tolist())  # type: ignore[attr-defined]


def test_levels_of_another_knob_are_refused_as_before() -> None:
    strategy = under({"multiple": 2})
    ranking = strategy.rank(context_of("dcgan"))
    with pytest.raises(ValueError, match="has no level 'threshold'"):
        strategy.decide(ranking, Level("threshold", 0.5), "params")
