"""Whole channels: closed-form shares, nested removals, and compact networks that compute what they should."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.measure.complexity import count_macs
from strategies.allocation import Allocation, global_, global_mean, uniform
from strategies.base import (
    Criterion,
    Infeasible,
    Kept,
    Target,
)
from strategies.criteria import l1, random
from strategies.granularity import channel as module
from strategies.granularity.channel import ChannelRanking, ChannelRemoval, TwinMismatch, channel, channel_scores
from strategies.granularity.coupling import Coupling, couple
from strategies.granularity.groups import Group, Member
from strategies.layers import named_weights, out_dim, prunable_layers, widths
from strategies.slicing import shrink, twin_error
from tests.helpers.properties import examples
from tests.strategies.nets import FACTORIES, context, context_of, generator, latents

networks = st.sampled_from(list(FACTORIES))
allocations = st.sampled_from(["uniform", "mean"])
targets: st.SearchStrategy[Target] = st.sampled_from(["params", "macs"])
shares = st.floats(0, 1)
"""Of what can be removed at the most: the maximum differs from network to network."""

ALLOCATIONS: dict[str, Allocation] = {"uniform": uniform, "mean": global_mean}


@functools.cache
def ranked(name: str, allocation: str = "mean") -> ChannelRanking:
    return channel.rank(context_of(name), l1, ALLOCATIONS[allocation])


@functools.cache
def dense(name: str) -> nn.Module:
    return generator(name)


def cut(name: str, allocation: str, target: Target, share: float) -> ChannelRemoval:
    ranking = ranked(name, allocation)
    return ranking.cut(share * ranking.shares[target][-1], target)


def without_channels(model: nn.Module, kept: Kept, inputs: tuple[Tensor, ...]) -> Tensor:
    """The dense network in float64 with the activations of the removed channels zeroed where they are read."""
    twin = copy.deepcopy(model).double()

    def silencer(stays: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        def zero(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            mask = torch.zeros(args[0].shape[1], dtype=torch.float64)
            mask[stays] = 1.0
            return (args[0] * mask.view(-1, *[1] * (args[0].ndim - 2)),)

        return zero

    for name, sides in kept.items():
        if "in" in sides:
            twin.get_submodule(name).register_forward_pre_hook(silencer(sides["in"]))
    with torch.no_grad():
        return twin(*(x.double() for x in inputs))


@examples(40)
@given(networks, allocations, targets, shares)
def test_the_share_reached_is_nearer_to_the_target_than_its_neighbours(
    name: str, allocation: str, target: Target, share: float
) -> None:
    ranking = ranked(name, allocation)
    asked = share * ranking.shares[target][-1]
    removal = ranking.cut(asked, target)
    count = sum(len(gone) for gone in removal.removed.values())
    reached = ranking.shares[target]
    assert removal.sparsity(target) == reached[count]
    neighbours = reached[max(count - 1, 0) : count + 2]
    assert abs(reached[count] - asked) == np.abs(neighbours - asked).min()


@examples(40)
@given(networks, allocations, targets, shares)
def test_closed_form_shares_are_the_counted_parameters_and_macs(
    name: str, allocation: str, target: Target, share: float
) -> None:
    removal = cut(name, allocation, target, share)
    compact = removal.apply(dense(name)).generator
    counted = [sum(w.numel() for _, w in named_weights(m)) for m in (compact, dense(name))]
    assert (1 - removal.sparsity("params")) * counted[1] == pytest.approx(counted[0], abs=1e-6)
    macs = [count_macs(m, latents(name, 1)).dense for m in (compact, dense(name))]
    assert (1 - removal.sparsity("macs")) * macs[1] == pytest.approx(macs[0], abs=1e-6)


@examples(40)
@given(networks, allocations, targets, shares)
def test_the_compact_network_computes_what_the_dense_one_does_without_the_channels(
    name: str, allocation: str, target: Target, share: float
) -> None:
    pruned = cut(name, allocation, target, share).apply(dense(name))
    inputs = latents(name, 5, seed=9)
    expected = without_channels(dense(name), pruned.kept, inputs)
    with torch.no_grad():
        found = pruned.generator.double()(*(x.double() for x in inputs))
    assert (found - expected).abs().max() <= 1e-9 * expected.abs().max()


@examples(40)
@given(networks, allocations, targets, shares, shares)
def test_what_goes_at_a_low_sparsity_is_gone_at_a_higher_one(
    name: str, allocation: str, target: Target, one: float, other: float
) -> None:
    low, high = (cut(name, allocation, target, share).removed for share in sorted([one, other]))
    assert all(set(low[group].tolist()) <= set(high[group].tolist()) for group in low)


@pytest.mark.parametrize("allocation", list(ALLOCATIONS))
@pytest.mark.parametrize("name", list(FACTORIES))
def test_at_the_maximum_one_channel_stays_everywhere_and_images_and_latents_whole(name: str, allocation: str) -> None:
    before = widths(dense(name))
    after = widths(cut(name, allocation, "params", 1.0).apply(dense(name)).generator)
    names = list(before)
    assert after[names[0]][1] == before[names[0]][1]
    assert after[names[-1]][0] == before[names[-1]][0]
    assert {after[layer][0] for layer in names[:-1]} == {1}


@examples(40)
@given(networks, allocations, targets, shares)
def test_every_pruned_generator_takes_the_same_latents_and_draws_the_same_shape(
    name: str, allocation: str, target: Target, share: float
) -> None:
    compact = cut(name, allocation, target, share).apply(dense(name)).generator
    with torch.no_grad():
        assert compact(*latents(name, 3)).shape == dense(name)(*latents(name, 3)).shape


@pytest.mark.parametrize("name", list(FACTORIES))
def test_a_random_order_is_nested_and_follows_the_seed(name: str) -> None:
    def order(seed: int) -> tuple[tuple[int, int], ...]:
        return channel.rank(context_of(name, seed), random, uniform).order

    assert order(0) == order(0)
    assert order(0) != order(1)


@pytest.mark.parametrize("name", list(FACTORIES))
def test_every_prefix_of_the_order_removes_more(name: str) -> None:
    for values in ranked(name).shares.values():
        assert values[0] == 0.0
        assert all(a < b for a, b in pairwise(values))


@pytest.mark.parametrize("name", list(FACTORIES))
def test_the_order_holds_every_removable_channel_once_but_one_of_each_group(name: str) -> None:
    ranking = ranked(name)
    units = [(k, c) for k, group in enumerate(ranking.coupling.groups) for c in range(group.size)]
    missing = set(units) - set(ranking.order)
    assert len(ranking.order) == len(set(ranking.order))
    assert sorted(k for k, _ in missing) == list(range(len(ranking.coupling.groups)))


def test_the_channel_that_stays_is_the_most_important_of_its_group() -> None:
    removal = cut("mlp", "mean", "params", 1.0)
    norms = dict(named_weights(dense("mlp")))["net.2"].abs().sum(1)
    assert removal.kept(dense("mlp"))["net.2"]["out"].tolist() == [int(norms.argmax())]


def test_the_weakest_neuron_goes_with_its_row_and_column() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, -3.0], [0.5, -0.5], [2.0, 2.0]]))
        model[0].bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        model[2].weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    removal = channel.rank(context(model, (torch.randn(2, 2),)), l1, global_mean).cut(1 / 3, "params")
    assert removal.sparsity("params") == pytest.approx(1 / 3)
    small = removal.apply(model).generator
    assert small[0].weight.tolist() == [[3.0, -3.0], [2.0, 2.0]]
    assert small[0].bias.tolist() == [1.0, 3.0]
    assert small[2].weight.tolist() == [[1.0, 3.0], [4.0, 6.0]]
    assert small[2].bias.tolist() == model[2].bias.tolist()


def test_below_removes_exactly_the_channels_below_the_threshold() -> None:
    model = generator("mlp")
    ranking = channel.rank(context(model, latents("mlp")), l1, global_)
    norms = {name: w.double().abs().sum(1) for name, w in named_weights(model)}
    threshold = float(norms["net.0"].sort().values[3])
    removal = ranking.at(threshold)
    for name, gone in removal.removed.items():
        below = (norms[name] < threshold).nonzero().flatten()
        assert len(below) < len(norms[name])  # else one of them would stay
        assert torch.equal(gone, below)


def test_a_target_out_of_reach_is_infeasible_and_reports_the_maximum() -> None:
    # 6-1-1-1-16 neurons are left of 6-7-9-5-16: 24 weights of 230.
    with pytest.raises(Infeasible) as caught:
        ranked("mlp").cut(0.95, "params")
    assert caught.value.maximum == pytest.approx(1 - 24 / 230, abs=1e-12)
    assert ranked("mlp").cut(caught.value.maximum, "params").sparsity("params") == caught.value.maximum


def test_the_report_by_layer_is_what_the_networks_hold() -> None:
    pruned = cut("residual", "mean", "params", 0.5).apply(dense("residual"))
    small = prunable_layers(pruned.generator)
    for layer in pruned.layers:
        assert layer.weights == prunable_layers(dense("residual"))[layer.name].weight.numel()
        assert layer.kept == small[layer.name].weight.numel()
        assert layer.kept_width == widths(pruned.generator)[layer.name]
    assert {layer.name: layer.note for layer in pruned.layers if layer.note} == {"image": "makes the network's output"}


def test_applying_leaves_the_original_untouched() -> None:
    before = {key: value.clone() for key, value in dense("dcgan").state_dict().items()}
    cut("dcgan", "mean", "params", 0.5).apply(dense("dcgan"))
    assert all(torch.equal(value, before[key]) for key, value in dense("dcgan").state_dict().items())
    assert not dense("dcgan").training


@pytest.mark.parametrize("name", list(FACTORIES))
def test_a_held_network_computes_what_the_compact_one_does(name: str) -> None:
    removal = cut(name, "mean", "params", 0.6)
    held = copy.deepcopy(dense(name)).double()
    removal.hold(held)
    inputs = tuple(x.double() for x in latents(name, 4))
    with torch.no_grad():
        torch.testing.assert_close(held(*inputs), removal.apply(dense(name)).generator.double()(*inputs))


def test_what_was_removed_before_goes_first_even_if_it_has_grown() -> None:
    model = generator("mlp")
    found = context(model, latents("mlp"))
    first = channel.rank(found, l1, global_mean).cut(0.3, "params")
    with torch.no_grad():
        for name, gone in first.removed.items():
            model.get_submodule(name).weight[gone] = 100.0
    second = channel.rank(found, l1, global_mean, after=first).cut(0.5, "params")
    assert sum(len(gone) for gone in first.removed.values()) > 0
    assert all(set(gone.tolist()) <= set(second.removed[name].tolist()) for name, gone in first.removed.items())


# What the masked twin is for.


@pytest.mark.parametrize("name", ["dummy", "dcgan", "residual", "flattened"])
def test_zeroing_a_channel_where_it_is_made_is_not_the_same_behind_batchnorm(name: str) -> None:
    """Behind it the norm's shift fills the channel again: that is why the twin silences the readers."""
    pruned = cut(name, "mean", "params", 0.5).apply(dense(name))
    naive = copy.deepcopy(dense(name)).double()
    with torch.no_grad():
        for layer_name, layer in prunable_layers(naive).items():
            stays = pruned.kept.get(layer_name, {}).get("out")
            if stays is None:
                continue
            gone = torch.ones(widths(naive)[layer_name][0], dtype=torch.bool)
            gone[stays] = False
            layer.weight.index_fill_(out_dim(layer), gone.nonzero().flatten(), 0.0)
            if layer.bias is not None:
                layer.bias[gone] = 0.0
    inputs = tuple(x.double() for x in latents(name, 4))
    compact = copy.deepcopy(pruned.generator).double()
    with torch.no_grad():
        assert (naive(*inputs) - compact(*inputs)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "layer", "side"),
    [("dcgan", "net.3", "in"), ("dcgan", "net.1", "out"), ("residual", "up", "out"), ("flattened", "net.4", "in")],
)
def test_a_wrong_index_is_far_from_the_twin(name: str, layer: str, side: str) -> None:
    removal = cut(name, "mean", "params", 0.5)
    kept = removal.kept(dense(name))
    right = kept[layer][side]
    size = len(right) + 1
    assert size <= widths(dense(name)).get(layer, (10**6, 10**6))[side == "in"]
    gone = sorted(set(range(int(right.max()) + 2)) - set(right.tolist()))[0]
    wrong = {**kept, layer: {**kept[layer], side: torch.cat([right[1:], torch.tensor([gone])]).sort().values}}
    assert twin_error(dense(name), shrink(dense(name), kept), kept, latents(name)) <= 1e-9
    assert twin_error(dense(name), shrink(dense(name), wrong), kept, latents(name)) > 1e-3


@pytest.mark.parametrize("name", list(FACTORIES))
def test_a_coupling_that_pairs_the_wrong_channels_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shapes fit and the network runs: only the numbers show it."""

    def mispaired(model: nn.Module, inputs: tuple[Tensor, ...]) -> Coupling:
        found = couple(model, inputs)
        group = found.groups[0]
        wrong = tuple(
            replace(member, indices=member.indices.roll(1)) if member.side == "in" else member
            for member in group.members
        )
        return replace(found, groups=(replace(group, members=wrong), *found.groups[1:]))

    monkeypatch.setattr(module, "couple", mispaired)
    ranking = channel.rank(context_of(name), l1, uniform)
    with pytest.raises(TwinMismatch, match="coupled in a way that the trace did not show"):
        ranking.cut(0.5, "params").apply(dense(name))


def test_a_twin_whose_output_is_not_finite_or_has_another_shape_is_infinitely_far() -> None:
    model = nn.Sequential(nn.Linear(2, 2)).eval()
    broken = copy.deepcopy(model)
    broken[0].weight.data.fill_(float("nan"))
    inputs = (torch.ones(1, 2),)
    assert twin_error(model, broken, {}, inputs) == float("inf")
    assert twin_error(model, nn.Sequential(nn.Linear(2, 3)), {}, inputs) == float("inf")


@pytest.mark.parametrize("name", list(FACTORIES))
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_the_cut_is_bit_for_bit_that_of_torch_pruning(name: str, share: float) -> None:
    removal = cut(name, "mean", "params", share)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning

        theirs = copy.deepcopy(dense(name)).requires_grad_(True)
        graph = torch_pruning.DependencyGraph().build_dependency(theirs, example_inputs=latents(name))
        for root, gone in removal.removed.items():
            if len(gone):
                layer = theirs.get_submodule(root)
                prune = graph.get_pruner_of_module(layer).prune_out_channels
                graph.get_pruning_group(layer, prune, idxs=gone.tolist()).prune()
    expected = theirs.state_dict()
    ours = removal.apply(dense(name)).generator.state_dict()
    assert list(ours) == list(expected)
    assert all(torch.equal(value, expected[key]) for key, value in ours.items())


# Which prefix has the MACs that are asked for, where the forecast is right and where it is not.


def ranking_of(forecast: list[float], counted: Callable[[int], float]) -> ChannelRanking:
    """Of one group of channels, the first of which go first, whose networks have these shares of MACs gone."""
    size = len(forecast)
    every = torch.arange(size)
    group = Group("a", size, (Member("a", "out", every, every), Member("b", "in", every, every)))
    return ChannelRanking(
        Coupling((group,), {}),
        tuple((0, channel) for channel in range(size - 1)),
        np.arange(size - 1, dtype=np.float64),
        {"params": np.arange(size) / size, "macs": np.array(forecast)},
        (),
        lambda removal: counted(len(removal.removed["a"])),
    )


FORECAST = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
COUNTED = [0.0, 0.0625, 0.125, 0.25, 0.625, 0.875]


@pytest.mark.parametrize(
    ("asked", "count"),
    [(0.0, 0), (0.06, 1), (0.09, 1), (0.1, 2), (0.125, 2), (0.2, 3), (0.43, 3), (0.44, 4), (0.7, 4),
     (0.8, 5), (0.875, 5)],
)  # fmt: skip
def test_where_the_forecast_of_macs_is_wrong_the_nearest_counted_network_is_taken(asked: float, count: int) -> None:
    removal = ranking_of(FORECAST, COUNTED.__getitem__).cut(asked, "macs")
    assert removal.removed["a"].tolist() == list(range(count))
    assert removal.sparsity("params") == count / 6
    assert removal.sparsity("macs") == (COUNTED[count] if asked else 0.0)


def test_more_than_the_smallest_network_saves_is_infeasible_whatever_the_forecast() -> None:
    with pytest.raises(Infeasible) as caught:
        ranking_of(FORECAST, COUNTED.__getitem__).cut(0.88, "macs")
    assert caught.value.maximum == 0.875
    with pytest.raises(Infeasible) as caught:
        ranking_of(FORECAST, FORECAST.__getitem__).cut(0.51, "macs")
    assert caught.value.maximum == 0.5


@pytest.mark.parametrize(("error", "trusted"), [(1e-12, True), (1e-6, False), (-1e-6, False)])
def test_a_forecast_is_trusted_up_to_rounding(error: float, trusted: bool) -> None:
    removal = ranking_of(FORECAST, lambda count: FORECAST[count] + error * (count > 0)).cut(0.31, "macs")
    assert removal.removed["a"].tolist() == [0, 1, 2]
    assert removal.sparsity("macs") == (0.3 if trusted else 0.3 + error)


def test_few_networks_are_counted_for_a_cut() -> None:
    size, asked = 1025, []

    def counted(count: int) -> float:
        asked.append(count)
        return (count / size) ** 2

    removal = ranking_of([k / size for k in range(size)], counted).cut(0.25, "macs")
    assert len(removal.removed["a"]) in (512, 513)
    assert len(asked) == len(set(asked)) <= 13


@pytest.mark.parametrize(("value", "gone"), [(0.0, 0), (1.0, 1), (1.5, 2), (9.0, 5)])
def test_at_a_threshold_goes_what_is_below_it(value: float, gone: int) -> None:
    assert ranking_of(FORECAST, FORECAST.__getitem__).at(value).removed["a"].tolist() == list(range(gone))


# One score a channel.


def members(*sides: tuple[str, str, list[int], list[int]]) -> tuple[Member, ...]:
    return tuple(
        Member(name, side, torch.tensor(indices), torch.tensor(channels)) for name, side, indices, channels in sides
    )


def test_a_channel_has_the_mean_score_of_what_makes_it_where_each_place_is_scored() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 4))
    scores = {"0": torch.tensor([1.0, 2.0, 4.0]), "1": torch.tensor([[1.0, 1.0], [2.0, 3.0], [0.0, 7.0], [4.0, 4.0]])}
    group = Group("0", 3, members(("0", "out", [0, 1, 2], [0, 1, 2]), ("1", "out", [3, 1, 0], [0, 1, 2]),
                                  ("2", "out", [0, 1, 2], [0, 1, 2]), ("1", "in", [0, 1], [0, 1])))  # fmt: skip
    found = channel_scores(group, model, scores, l1)
    assert found is not None and found.tolist() == [(1 + 8) / 2, (2 + 5) / 2, (4 + 2) / 2]
    partly = Group("0", 3, members(("0", "out", [0, 2], [0, 2])))
    assert channel_scores(partly, model, scores, l1) is None


def test_a_channel_that_a_grouped_layer_reads_is_scored_by_what_makes_it() -> None:
    """The weight of a grouped layer has fewer inputs than it reads, and does not say which filter reads which."""
    reading = Criterion("reading", lambda context: {}, "here", "own", reads=True)
    model = nn.ModuleDict({"a": nn.Conv2d(2, 4, 1), "b": nn.Conv2d(4, 4, 1, groups=2), "c": nn.Conv2d(4, 1, 1)})
    scores = {name: layer.weight.detach().abs() for name, layer in prunable_layers(model).items()}
    every = [0, 1, 2, 3]
    made, plain = ("a", "out", every, every), ("c", "in", every, every)
    grouped = ("b", "in", every, every)
    by_reader = channel_scores(Group("a", 4, members(made, plain)), model, scores, reading)
    assert by_reader is not None
    torch.testing.assert_close(by_reader, scores["c"].double().flatten())
    for group in (Group("a", 4, members(made, grouped)), Group("a", 4, members(made, plain, grouped))):
        by_maker = channel_scores(group, model, scores, reading)
        assert by_maker is not None
        torch.testing.assert_close(by_maker, scores["a"].double().flatten(1).sum(1))
