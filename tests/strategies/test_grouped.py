"""The granularity `group`: the channels and cuts of `channel`, another score."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import global_mean, uniform
from strategies.base import Criterion, NotApplicable, Scores
from strategies.builtin import STRATEGIES
from strategies.criteria import CRITERIA, fpgm, grouped, taylor
from strategies.granularity.channel import ChannelRemoval, channel
from strategies.granularity.grouped import GroupGranularity, group, group_scores
from strategies.slicing import twin_error
from tests.strategies.nets import FACTORIES, context_of, generator, latents
from tests.strategies.shared import SHARED, shared
from tests.strategies.shared import inputs as shared_inputs

WEIGHTS_ALONE = sorted(n for n in STRATEGIES if STRATEGIES[n].granularity == group and not STRATEGIES[n].needs)


@pytest.mark.parametrize("name", WEIGHTS_ALONE)
@pytest.mark.parametrize("network", list(FACTORIES))
def test_the_channels_of_lowest_priority_go_first(name: str, network: str) -> None:
    strategy, context = STRATEGIES[name], context_of(network)
    ranking = strategy.rank(context)
    raw = strategy.criterion(context)
    scores = {g.name: group_scores(g, context.generator, raw, strategy.criterion) for g in ranking.coupling.groups}
    for place, one in enumerate(ranking.coupling.groups):
        order = [c for g, c in ranking.order if g == place]
        values = scores[one.name]
        assert values is not None
        assert values[order].tolist() == sorted(values.tolist())[: len(order)]


@pytest.mark.parametrize("network", list(FACTORIES))
def test_the_same_share_of_each_layer_has_the_widths_of_any_other_criterion(network: str) -> None:
    context = context_of(network)
    ours = group.rank(context, grouped.l2, uniform).cut(0.5, "params").removed
    other = channel.rank(context, CRITERIA["l1"], uniform).cut(0.5, "params").removed
    assert {name: len(gone) for name, gone in ours.items()} == {name: len(gone) for name, gone in other.items()}


@pytest.mark.parametrize("network", list(SHARED))
def test_shared_weights_are_cut_together(network: str) -> None:
    model, inputs = shared(network), shared_inputs(2)
    context = replace(context_of("dummy"), generator=model, example_inputs=inputs)
    try:
        removal = group.rank(replace(context, wiring=type(context.wiring)()), grouped.l2, global_mean).cut(
            0.3, "params"
        )
    except NotApplicable as reason:
        assert network == "fixed-stem", reason
        return
    pruned = removal.apply(model)  # compared with its masked twin
    assert twin_error(model, pruned.generator, pruned.kept, inputs) <= 1e-9


def test_what_is_gone_stays_gone_when_scored_again() -> None:
    context = context_of("residual")
    before = group.rank(context, grouped.l2, global_mean).cut(0.4, "params")
    held = generator("residual")
    before.hold(held)
    other = replace(context_of("residual"), generator=held)
    after = group.rank(other, grouped.l1, global_mean, before)
    assert after.coupling == before.coupling
    later = after.cut(0.5, "params")
    for name, gone in before.removed.items():
        assert set(gone.tolist()) <= set(later.removed[name].tolist())
    assert isinstance(later, ChannelRemoval) and later.sparsity("params") > before.sparsity("params")


def test_a_criterion_of_several_draws_is_reduced_draw_by_draw() -> None:
    """With the Taylor score of channels: E[(sum w g)^2] of each member, their mean."""
    context = context_of("mlp")
    shapes = {name: weight.shape for name, weight in context.weights()}
    rng = torch.Generator().manual_seed(0)
    raw = {name: torch.randn(3, *shape, generator=rng, dtype=torch.float64) for name, shape in shapes.items()}
    first = group.rank(context, grouped.l1, uniform).coupling.groups[0]
    found = group_scores(first, context.generator, raw, taylor)
    assert found is not None
    made, read = raw["net.0"].sum(2) ** 2, raw["net.2"].sum(1) ** 2
    torch.testing.assert_close(found, (made.mean(0) + read.mean(0)) / 2)


def _of(raw: Scores) -> Criterion:
    return replace(grouped.l1, name="own", score=lambda _: raw)


def test_scores_of_channels_are_refused_because_they_say_nothing_of_readers() -> None:
    with pytest.raises(ValueError, match=r"'fpgm' gave \(7,\) for net.0, expected one raw value a weight \(7, 6\)"):
        group.rank(context_of("mlp"), fpgm, uniform)


def test_members_without_raw_values_do_not_count() -> None:
    context = context_of("mlp")
    weights: dict[str, Tensor] = {name: weight.double().abs() for name, weight in context.weights()}
    first = group.rank(context, grouped.l1, uniform).coupling.groups[0]
    made = group_scores(first, context.generator, {"net.0": weights["net.0"]}, grouped.l1)
    read = group_scores(first, context.generator, {"net.2": weights["net.2"]}, grouped.l1)
    assert made is not None and torch.equal(made, weights["net.0"].sum(1))
    assert read is not None and torch.equal(read, weights["net.2"].sum(0))
    assert group_scores(first, context.generator, {}, grouped.l1) is None


def test_a_group_that_nothing_scores_stays_and_says_so() -> None:
    context = context_of("mlp")
    weights = {name: weight.double().abs() for name, weight in context.weights()}
    ranking = group.rank(context, _of({"net.0": weights["net.0"]}), uniform)
    assert [g.name for g in ranking.coupling.groups] == ["net.0"]
    assert ranking.coupling.dense["net.2"] == ranking.coupling.dense["net.4"] == "has no score by own"
    with pytest.raises(NotApplicable, match="no group of channels has a score by 'own'"):
        group.rank(context, _of({}), uniform)


def test_scores_that_are_no_numbers_are_refused() -> None:
    context = context_of("mlp")
    weights = {name: weight.double() * torch.nan for name, weight in context.weights()}
    with pytest.raises(ValueError, match=r"'own' gave scores for net\.0 that are not numbers"):
        group.rank(context, _of(weights), uniform)


def test_a_network_without_groups_does_not_apply() -> None:
    context = replace(context_of("mlp"), generator=nn.Linear(6, 4), wiring=type(context_of("mlp").wiring)())
    with pytest.raises(NotApplicable, match="no group of channels can be removed"):
        group.rank(context, grouped.l2, uniform)


def test_the_generator_is_left_as_it_was() -> None:
    context = context_of("residual")
    before = {key: value.clone() for key, value in context.generator.state_dict().items()}
    GroupGranularity().rank(context, grouped.l2, global_mean).cut(0.5, "macs").apply(context.generator)
    assert all(torch.equal(before[key], value) for key, value in context.generator.state_dict().items())
    with torch.no_grad():
        context.generator(*latents("residual"))
