"""Schedules that shrink what will go, or change what is left: growing penalty, group lasso, singular values."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from torch import nn

from strategies.allocation import global_, global_mean
from strategies.base import Diverged, Level, NotApplicable
from strategies.composition import Strategy
from strategies.criteria import grouped, l1, l2
from strategies.granularity.channel import ChannelRemoval, channel
from strategies.granularity.coupling import couple
from strategies.granularity.grouped import group
from strategies.granularity.weight import weight
from strategies.layers import named_weights, widths
from strategies.schedules import SCHEDULES, PruningHooks
from strategies.schedules.belongings import going, parts
from strategies.schedules.greg import GROWTHS, GregHooks, penalties
from strategies.schedules.grouplasso import shrinkage
from strategies.schedules.svs import root_of_singular_values, scale
from tests.strategies.nets import context, generator, latents
from tests.strategies.test_schedule_hooks import Still, after, started, strategy, two_layers


def normed() -> nn.Sequential:
    """Four channels with a norm; the filters have L1 norms .3, .7, 1.1 and 1.5."""
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.2), nn.Linear(4, 3)).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(1, 9).view(4, 2) / 10)
        for parameter in (model[0].bias, model[1].bias, model[3].weight, model[3].bias):
            parameter.fill_(1.0)
    return model


# The growing penalty.


@pytest.mark.parametrize("steps", [1, 3, 10, 75, 150])
def test_the_penalty_rises_by_equal_amounts_and_adds_up_to_the_same_whatever_the_steps(steps: int) -> None:
    found = penalties(steps)
    assert len(found) == steps
    assert sum(found) == pytest.approx(7)
    levels = sorted(set(found))
    assert found == sorted(found) and len(levels) == min(steps, GROWTHS)
    if steps % GROWTHS == 0:
        assert [b - a for a, b in pairwise([0.0, *levels])] == pytest.approx([levels[0]] * GROWTHS)


def test_only_what_was_chosen_shrinks_by_the_penalty_and_with_it_all_that_goes_with_it() -> None:
    hooks, training = started(strategy("greg", channel), normed(), steps=40)
    before = copy.deepcopy(training.generator.state_dict())
    hooks.before_step(0, training)
    assert all(torch.equal(value, before[key]) for key, value in training.generator.state_dict().items())
    for step in range(3):
        assert after(hooks, step, training) is None
    factor = math.exp(-sum(penalties(30)[:3]))
    expected = copy.deepcopy(before)
    for key in ("0.weight", "0.bias", "1.weight", "1.bias"):
        expected[key][:2] *= factor
    expected["3.weight"][:, :2] *= factor
    for key, value in training.generator.state_dict().items():
        torch.testing.assert_close(value, expected[key])
    assert torch.equal(training.average[0].weight, before["0.weight"])  # follows by itself


def test_what_was_chosen_first_is_what_goes_though_others_have_become_smaller() -> None:
    hooks, training = started(strategy("greg", channel), normed(), steps=40)
    hooks.before_step(0, training)
    after(hooks, 0, training)
    with torch.no_grad():
        training.generator[0].weight[3] = 1e-6
    for step in range(1, hooks.last + 1):
        assert hooks.pruned is None
        pruned = after(hooks, step, training)
    assert pruned.kept["0"]["out"].tolist() == [2, 3]
    left = training.generator[0].weight[:2].detach() / normed()[0].weight[:2].detach()
    torch.testing.assert_close(left, torch.full((2, 2), math.exp(-7)))


def test_weights_are_chosen_and_shrunk_one_by_one() -> None:
    hooks, training = started(strategy("greg"), steps=40)
    hooks.before_step(0, training)
    after(hooks, 0, training)
    factors = training.values() / torch.cat([two_layers()[k].weight.detach().flatten() for k in (0, 2)])
    expected = torch.tensor([math.exp(-penalties(30)[0])] * 10 + [1.0] * 10)
    torch.testing.assert_close(factors, expected)
    for step in range(1, hooks.last + 1):
        pruned = after(hooks, step, training)
    assert sum(int((~mask).sum()) for mask in pruned.masks.values()) == 10


def test_a_choice_survives_an_interruption() -> None:
    hooks, training = started(strategy("greg", channel), normed(), steps=40)
    hooks.before_step(0, training)
    after(hooks, 0, training)
    again, _ = started(strategy("greg", channel), normed(), steps=40)
    assert isinstance(again, GregHooks)
    again.load_state_dict(copy.deepcopy(hooks.state_dict()))
    assert isinstance(again.chosen, ChannelRemoval)
    assert again.chosen.removed["0"].tolist() == [0, 1]
    copied = copy.deepcopy(training)
    after(hooks, 1, training)
    after(again, 1, copied)
    assert all(torch.equal(copied.generator.state_dict()[k], v) for k, v in training.generator.state_dict().items())


@pytest.mark.parametrize("name", ["greg", "svs"])
def test_weights_that_are_not_finite_have_diverged(name: str) -> None:
    hooks, training = started(strategy(name, channel), normed(), steps=2)
    hooks.before_step(0, training)
    with torch.no_grad():
        training.generator[3].weight[0] = torch.nan
    with pytest.raises(Diverged, match=r"3\.weight are no longer finite"):
        after(hooks, hooks.last, training)


# Group lasso.


def test_the_proximal_step_of_a_norm_by_hand() -> None:
    found = shrinkage(torch.tensor([5.0, 2.0, 1.0, 0.0]), torch.tensor([4.0, 4.0, 4.0, 4.0]), 0.5)
    assert found.tolist() == pytest.approx([0.8, 0.5, 0.0, 0.0])


def test_the_factor_is_the_minimiser_of_the_penalised_distance() -> None:
    w, by = torch.tensor([0.6, -0.8, 0.2]).double(), 0.1
    scales = torch.linspace(0, 1, 100_001).double()
    penalised = 0.5 * (1 - scales) ** 2 * w.square().sum() + by * math.sqrt(3) * scales * w.norm()
    found = shrinkage(w.norm()[None], torch.tensor([3.0]).double(), by)
    assert float(found) == pytest.approx(float(scales[penalised.argmin()]), abs=2e-5)


def test_a_channel_shrinks_as_a_whole_and_what_two_channels_share_by_both() -> None:
    hooks, training = started(strategy("grouplasso", channel, l2), normed(), steps=40)
    with torch.no_grad():  # the whole first channel is small: eight entries
        for tensor in (training.generator[0].weight[0], training.generator[0].bias[:1]):
            tensor.fill_(1e-4)
        training.generator[1].weight[0] = training.generator[1].bias[0] = 1e-4
        training.generator[3].weight[:, 0] = 1e-4
    before = copy.deepcopy(training.generator.state_dict())
    after(hooks, 0, training)
    now = training.generator.state_dict()
    assert not now["0.weight"][0].any() and not now["3.weight"][:, 0].any() and now["1.weight"][0] == 0
    norm = math.sqrt(0.7**2 + 0.8**2 + 1 + 1 + 1 + 3)
    factor = 1 - 1e-3 * math.sqrt(8) / norm
    torch.testing.assert_close(now["0.weight"][3], before["0.weight"][3] * factor)
    torch.testing.assert_close(now["3.weight"][:, 3], before["3.weight"][:, 3] * factor)
    assert torch.equal(now["3.bias"], before["3.bias"])


def test_a_weight_between_two_groups_takes_both_factors() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    hooks, training = started(strategy("grouplasso", channel, l2), model, sparsity=0.3, steps=40)
    before = {k: v.double() for k, v in training.generator.state_dict().items()}
    after(hooks, 0, training)

    def factor(*belonging: torch.Tensor) -> float:
        values = torch.cat([x.flatten() for x in belonging])
        return 1 - 1e-3 * math.sqrt(len(values)) / float(values.norm())

    for o in range(3):
        of_output = factor(before["2.weight"][o], before["2.bias"][o], before["4.weight"][:, o])
        for i in range(3):
            of_input = factor(before["0.weight"][i], before["0.bias"][i], before["2.weight"][:, i])
            now = float(training.generator[2].weight[o, i].detach())
            assert now == pytest.approx(float(before["2.weight"][o, i]) * of_output * of_input, rel=1e-5)


def test_channels_that_have_gone_to_zero_are_the_ones_that_are_cut() -> None:
    hooks, training = started(strategy("grouplasso", group, grouped.l2), normed(), steps=8)
    for step in range(hooks.last + 1):
        with torch.no_grad():
            training.generator[0].weight[[1, 3]] = 1e-5
            training.generator[0].bias[[1, 3]] = training.generator[1].weight[[1, 3]] = 1e-5
            training.generator[1].bias[[1, 3]] = 1e-5
            training.generator[3].weight[:, [1, 3]] = 1e-5
        pruned = after(hooks, step, training)
    assert pruned.kept["0"]["out"].tolist() == [0, 2]


# Singular values.


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(5, 3), (3, 5)),
        (nn.Conv2d(4, 6, 3), (6, 36)),
        (nn.ConvTranspose2d(4, 6, 3), (6, 36)),
    ],
)
def test_singular_values_become_their_roots_and_directions_stay(layer: nn.Module, shape: tuple[int, int]) -> None:
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    before = cast(torch.Tensor, layer.weight).detach().clone()
    after_ = root_of_singular_values(before, dim)
    assert after_.shape == before.shape and after_.dtype == before.dtype
    matrices = [w.double().movedim(dim, 0).reshape(shape) for w in (before, after_)]
    one, other = (torch.linalg.svdvals(m) for m in matrices)
    torch.testing.assert_close(other, one.sqrt(), rtol=1e-5, atol=1e-6)
    # U S V' (U sqrt(S) V')' = U S^1.5 U' is symmetric: the same singular vectors on both sides.
    for product in (matrices[0] @ matrices[1].T, matrices[0].T @ matrices[1]):
        torch.testing.assert_close(product, product.T, rtol=1e-5, atol=1e-5)


def test_a_diagonal_by_hand_and_zeros_stay_zeros() -> None:
    found = root_of_singular_values(torch.diag(torch.tensor([4.0, -9.0, 0.0])), 0)
    torch.testing.assert_close(found, torch.diag(torch.tensor([2.0, -3.0, 0.0])), atol=1e-6, rtol=0)


def test_a_bias_keeps_its_direction_and_has_the_root_of_its_norm() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([0.0, 16.0]))
        model[2].bias.zero_()
    norm = copy.deepcopy(model[1].state_dict())
    last = model[2].weight.detach().clone()
    scale(model, frozenset({"2"}))
    torch.testing.assert_close(model[0].bias.detach(), torch.tensor([0.0, 4.0]))
    assert not model[2].bias.any() and torch.equal(model[2].weight, last)
    assert all(torch.equal(value, norm[key]) for key, value in model[1].state_dict().items())


def test_only_what_is_left_is_scaled_and_the_layer_of_the_images_is_not() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    hooks, training = started(strategy("svs", channel), model, sparsity=0.5, steps=20)
    hooks.before_step(0, training)
    removal = hooks.removal
    assert isinstance(removal, ChannelRemoval)
    pruned = after(hooks, 0, training)
    assert hooks.pruned is pruned and pruned.physical
    small = removal.apply(model).generator
    assert widths(pruned.generator) == widths(small)
    values = dict(named_weights(pruned.generator))
    for name, before in named_weights(small):
        one, other = torch.linalg.svdvals(before), torch.linalg.svdvals(values[name])
        torch.testing.assert_close(other, one if name == "4" else one.sqrt())
    assert all(torch.equal(training.average.state_dict()[k], v) for k, v in training.generator.state_dict().items())
    hooks.removal = None
    hooks.before_step(1, training)  # a resumed training does not begin again
    assert hooks.removal is None


# All of them.


@pytest.mark.parametrize("name", ["greg", "grouplasso", "svs"])
@pytest.mark.parametrize("net", ["dummy", "residual"])
def test_the_end_has_the_sparsity_of_the_same_strategy_without_a_schedule(name: str, net: str) -> None:
    model = generator(net)
    thing = Strategy("test", l2, channel, global_mean, SCHEDULES[name])
    hooks = SCHEDULES[name].hooks(thing, context(model, latents(net)), Level.sparsity(0.5), "params", 8)
    assert isinstance(hooks, PruningHooks)
    training: Any = Still(model)
    pruned = None
    for step in range(8):
        hooks.before_step(step, training)
        pruned = after(hooks, step, training) or pruned
        if pruned is not None:
            training.generator = pruned.generator
    once = thing.rank(context(model, latents(net))).cut(0.5, "params")
    assert pruned is not None
    if name != "grouplasso":  # which shrinks channels before it chooses
        assert widths(pruned.generator) == widths(once.apply(model).generator)
    left = [sum(w.numel() for _, w in named_weights(m)) for m in (pruned.generator, model)]
    assert 1 - left[0] / left[1] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", ["grouplasso", "svs"])
def test_single_weights_are_no_groups(name: str) -> None:
    with pytest.raises(NotApplicable, match=f"{name} acts on units of channel or group, not of weight"):
        started(Strategy(f"test+{name}", l1, weight, global_, SCHEDULES[name]))


@pytest.mark.parametrize("net", ["dummy", "residual"])
def test_what_goes_with_a_channel_is_what_shrinks_with_it(net: str) -> None:
    model = generator(net)
    coupling = couple(model, latents(net))
    for each in coupling.groups:
        removal = ChannelRemoval(
            coupling, {g.name: torch.arange(1 if g is each else 0) for g in coupling.groups}, latents(net), {}
        )
        expected = going(model, removal)
        found: dict[str, torch.Tensor] = {}
        for part in parts(model, each):
            mask = found.setdefault(part.parameter, torch.zeros_like(model.get_parameter(part.parameter)).bool())
            mask.index_fill_(part.dim, part.indices[part.channels == 0], True)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], mask) for name, mask in expected.items())
