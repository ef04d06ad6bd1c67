"""What each schedule does at its events, by hand."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import global_
from strategies.base import Context, Level, NotApplicable, Snapshot
from strategies.composition import Strategy
from strategies.criteria import bnscale, l1
from strategies.granularity.channel import channel
from strategies.granularity.weight import WeightRemoval, weight
from strategies.hooks import Training
from strategies.schedules import SCHEDULES, PruningHooks
from strategies.schedules.bnprox import soft_threshold
from strategies.schedules.dynamic import cosine_fraction, dropped_and_grown
from strategies.schedules.performance import PerformanceHooks
from tests.strategies.nets import context as context_of

INPUTS = (torch.tensor([[0.3, -0.7], [1.0, 0.4]]),)


def two_layers() -> nn.Sequential:
    """Twenty weights: .1, .2, .. 2.0 in the order of the layers, with alternating signs."""
    model = nn.Sequential(nn.Linear(2, 4), nn.LeakyReLU(0.2), nn.Linear(4, 3), nn.Tanh()).eval()
    values = torch.arange(1, 21) / 10 * torch.tensor([1.0, -1.0]).repeat(10)
    with torch.no_grad():
        model[0].weight.copy_(values[:8].view(4, 2))
        model[2].weight.copy_(values[8:].view(3, 4))
    return model


class Still:
    """A training that stands still, with real optimizers that have done a step."""

    def __init__(self, model: nn.Module) -> None:
        self.generator, self.average = copy.deepcopy(model), copy.deepcopy(model)
        self.discriminator = nn.Linear(2, 1)
        self.opt_g = torch.optim.Adam(self.generator.parameters(), lr=1e-3)
        for parameter in self.generator.parameters():
            self.opt_g.state[parameter] = {
                "step": torch.tensor(1.0),
                "exp_avg": torch.full_like(parameter, 3.0),
                "exp_avg_sq": torch.full_like(parameter, 4.0),
            }
        self.restarts = 0
        self.last: Any = None

    def restart(self) -> None:
        self.restarts += 1

    def values(self) -> Tensor:
        return torch.cat([self.generator[k].weight.detach().flatten() for k in (0, 2)])

    def moments(self, key: str = "exp_avg") -> Tensor:
        return torch.cat([self.opt_g.state[self.generator[k].weight][key].flatten() for k in (0, 2)])


def strategy(schedule: str, granularity: Any = weight, criterion: Any = l1) -> Strategy:
    return Strategy(f"test+{schedule}", criterion, granularity, global_, SCHEDULES[schedule])


def started(
    thing: Strategy, model: nn.Module | None = None, *, sparsity: float = 0.5, steps: int = 40, **more: Any
) -> tuple[PruningHooks, Any]:
    dense = model or two_layers()
    context: Context = replace(context_of(dense, INPUTS), **more)
    assert thing.schedule is not None
    return thing.schedule.hooks(thing, context, Level.sparsity(sparsity), "params", steps), Still(dense)


def after(hooks: PruningHooks, step: int, training: Any) -> Any:
    return hooks.after_step(step, cast(Training, training))


def zeros(training: Any) -> list[int]:
    """Positions of the weights that are zero."""
    return (training.values() == 0).nonzero().flatten().tolist()


def events(hooks: PruningHooks) -> list[int]:
    return list(hooks.events)


# Held: iterative and hard.


def test_iterative_pruning_holds_a_growing_set_and_ranks_by_the_weights_of_the_moment() -> None:
    hooks, training = started(strategy("iterative"), sparsity=1 - 0.8**5)
    counts = []
    for event in events(hooks):
        after(hooks, event, training)
        counts.append(len(zeros(training)))
        if event == 0:
            assert zeros(training) == [0, 1, 2, 3]
            with torch.no_grad():
                training.generator[2].weight[2, 3] = 0.01  # the largest weight becomes the smallest
    assert counts == [4, 7, 10, 12, 13]  # 20 times .2, .36, .488, .5904, .67232
    assert 19 in zeros(training)
    assert hooks.pruned is not None


def test_hard_pruning_takes_everything_at_its_first_event() -> None:
    hooks, training = started(strategy("hard"))
    after(hooks, 0, training)
    with torch.no_grad():
        training.generator[0].weight.fill_(9.0)
    after(hooks, 1, training)
    assert zeros(training) == list(range(10))


# Soft.


def test_soft_pruning_lets_weights_come_back_and_only_its_last_event_is_hard() -> None:
    hooks, training = started(strategy("soft"))
    after(hooks, 0, training)
    assert zeros(training) == list(range(10))
    assert torch.equal(training.average[0].weight, two_layers()[0].weight)
    with torch.no_grad():
        training.generator[0].weight.fill_(5.0)  # what a training step may do
    after(hooks, 1, training)
    assert zeros(training) == [8, 9]
    for event in events(hooks)[1:-1]:
        after(hooks, event, training)
    assert zeros(training) == [8, 9, *range(10, 18)]
    pruned = after(hooks, hooks.last, training)
    assert pruned is hooks.pruned and pruned is not None
    assert pruned.masks["0"].all()  # all of these were once zero
    with torch.no_grad():
        training.generator[2].weight.fill_(5.0)
    after(hooks, hooks.last + 1, training)
    assert zeros(training) == list(range(8, 18))
    assert not training.average[2].weight[~pruned.masks["2"]].any()


def test_soft_pruning_of_channels_zeroes_the_filters_that_make_them_and_not_what_reads_them() -> None:
    hooks, training = started(strategy("soft", channel))
    after(hooks, 0, training)
    assert zeros(training) == [0, 1, 2, 3]  # two of four rows of two weights
    assert torch.equal(training.generator[2].weight, two_layers()[2].weight)
    with torch.no_grad():
        training.generator[0].weight[0] = 7.0
    for event in events(hooks)[1:]:
        pruned = after(hooks, event, training)
    assert pruned.kept["0"]["out"].tolist() == [0, 3]


# Restored by drawing anew.


def initial() -> Snapshot:
    model = two_layers()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).repeat(4).view(4, 2))  # deviation 1
        model[2].weight.fill_(0.5)  # deviation 0
    return Snapshot(model)


def test_reinitialised_weights_are_drawn_with_the_initial_deviation_of_their_layer_and_train_on() -> None:
    hooks, training = started(strategy("reinit"), sparsity=1 - 0.5**5, initialisation=initial())
    before = training.values()
    after(hooks, 0, training)
    drawn = torch.randn(8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(training.values()[:8], drawn)
    assert training.values()[8:10].tolist() == [0.0, 0.0]
    assert torch.equal(training.values()[10:], before[10:])
    for key, value in (("exp_avg", 3.0), ("exp_avg_sq", 4.0)):
        assert training.moments(key).tolist() == [0.0] * 10 + [value] * 10
    moved = training.values()
    after(hooks, 1, training)
    assert torch.equal(training.values(), moved)  # no event, nothing held


def test_reinitialised_channels_are_filters_and_the_last_event_removes_them() -> None:
    hooks, training = started(strategy("reinit", channel), initialisation=initial())
    for event in events(hooks)[:-1]:
        after(hooks, event, training)
        assert training.values().all()
        with torch.no_grad():
            training.generator[0].weight.copy_(two_layers()[0].weight)
    pruned = after(hooks, hooks.last, training)
    assert pruned.kept["0"]["out"].tolist() == [2, 3]


@pytest.mark.parametrize("name", ["reinit", "lottery-init", "lottery-rewind"])
def test_without_the_earlier_state_a_schedule_that_needs_it_is_not_applicable(name: str) -> None:
    with pytest.raises(NotApplicable, match="not known"):
        started(strategy(name))


# Lottery tickets.


@pytest.mark.parametrize(("name", "where"), [("lottery-init", "initialisation"), ("lottery-rewind", "rewind")])
def test_the_survivors_go_back_and_so_does_the_discriminator(name: str, where: str) -> None:
    start = Snapshot(initial().generator, nn.Linear(2, 1))
    hooks, training = started(strategy(name), sparsity=1 - 0.5**5, **{where: start})
    for k, event in enumerate(events(hooks), 1):
        with torch.no_grad():
            training.generator.load_state_dict(two_layers().state_dict())  # as if it had trained to this
            training.discriminator.weight.fill_(8.0)
        after(hooks, event, training)
        gone = round(20 * (1 - 0.5**k))
        expected = torch.cat([initial().generator[j].weight.flatten() for j in (0, 2)])
        assert torch.equal(training.values(), expected.detach().index_fill(0, torch.arange(gone), 0.0))
        assert start.discriminator is not None
        assert torch.equal(training.discriminator.weight, start.discriminator.weight)
        assert training.restarts == k
    assert hooks.pruned is not None
    before = training.values() + 1
    with torch.no_grad():
        for j in (0, 2):
            training.generator[j].weight.add_(1.0)
    after(hooks, hooks.last + 1, training)
    assert training.restarts == len(events(hooks))
    assert torch.equal(training.values()[19:], before[19:])
    assert zeros(training) == list(range(19))


# Drop and grow.


@pytest.mark.parametrize(("progress", "fraction"), [(0, 0.3), (1 / 3, 0.225), (0.5, 0.15), (2 / 3, 0.075), (1, 0.0)])
def test_the_share_that_is_dropped_follows_a_cosine(progress: float, fraction: float) -> None:
    assert cosine_fraction(progress) == pytest.approx(fraction, abs=1e-15)


def test_the_smallest_are_dropped_and_as_many_grown_where_the_growth_score_is_highest() -> None:
    mask = torch.tensor([True, True, True, True, False, False, False, False])
    values = torch.tensor([0.5, -0.1, 2.0, -0.2, 0.0, 0.0, 0.0, 0.0])
    growth = torch.tensor([99.0, 1.0, 99.0, 0.5, 3.0, 0.1, 2.0, 0.2])
    new, changed = dropped_and_grown(mask, values, growth, 0.5)
    assert new.tolist() == [True, False, True, False, True, False, True, False]
    assert changed.tolist() == [False, True, False, True, True, False, True, False]


def test_what_was_dropped_may_grow_again_and_then_nothing_has_happened_to_it() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    new, changed = dropped_and_grown(
        mask, torch.tensor([[1.0, 0.1], [2.0, 0.0]]), torch.tensor([[0.0, 9.0], [0.0, 1.0]]), 0.4
    )
    assert new.tolist() == mask.tolist()
    assert not changed.any()


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 0), (0.19, 0), (0.2, 1), (0.59, 2), (0.6, 3), (1.0, 5)])
def test_so_many_are_dropped(fraction: float, count: int) -> None:
    mask = torch.arange(12) < 5
    new, _ = dropped_and_grown(mask, torch.arange(1.0, 13.0), torch.arange(12.0), fraction)
    assert int((mask & ~new).sum()) == int((~mask & new).sum()) == count


def test_a_full_layer_stays_as_it_is() -> None:
    new, changed = dropped_and_grown(torch.ones(4, dtype=torch.bool), torch.randn(4), torch.rand(4), 0.5)
    assert new.all() and not changed.any()


@pytest.mark.parametrize("name", ["set", "rigl"])
def test_dynamic_training_is_sparse_before_its_first_step(name: str) -> None:
    hooks, training = started(strategy(name), sparsity=0.6)
    hooks.before_step(0, training)
    assert zeros(training) == list(range(12))
    assert not training.average[0].weight.any()
    assert training.average[2].weight.count_nonzero() == 8
    assert hooks.pruned is None
    hooks.removal = None
    hooks.before_step(1, training)  # a resumed training does not begin again
    assert hooks.removal is None


def test_rigl_by_hand() -> None:
    hooks, training = started(strategy("rigl"), sparsity=0.6)
    hooks.before_step(0, training)
    for k, values in ((0, torch.arange(8.0).view(4, 2)), (2, -torch.arange(12.0).view(3, 4))):
        training.generator[k].weight.grad = values
    with torch.no_grad():
        training.generator[2].weight.abs_()
        training.generator[2].weight[0] = 0.7  # a step moved what was zero
    # Active: 4 .. 11 of layer 2, of .1 * (13 .. 20). 4 and 5 are dropped. The gradients of 0 .. 5 are 0 .. 5.
    # The largest are those of 4 and 5 themselves, so make them small.
    training.generator[2].weight.grad.view(-1)[4:6] = 0.0
    after(hooks, 0, training)
    assert isinstance(hooks.removal, WeightRemoval)
    assert hooks.removal.masks["2"].flatten().nonzero().flatten().tolist() == [2, 3, 6, 7, 8, 9, 10, 11]
    assert training.values()[8:14].tolist() == [0.0] * 6
    assert training.moments()[8:].tolist() == [3.0, 3.0, 0.0, 0.0, 0.0, 0.0, *[3.0] * 6]


@pytest.mark.parametrize("name", ["set", "rigl"])
def test_the_number_of_weights_of_each_layer_never_changes_and_at_the_last_event_nothing_moves(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 30), nn.LeakyReLU(0.2), nn.Linear(30, 9), nn.Tanh())
    hooks, training = started(strategy(name), model, sparsity=0.5)
    hooks.before_step(0, training)
    seen: list[dict[str, Tensor]] = []
    for step in range(32):
        for k in (0, 2):
            training.generator[k].weight.grad = torch.randn(model[k].weight.shape)
        with torch.no_grad():
            for parameter in training.generator.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        after(hooks, step, training)
        assert isinstance(hooks.removal, WeightRemoval)
        seen.append(hooks.removal.masks)
        for k in (0, 2):
            assert not training.generator[k].weight[~seen[-1][str(k)]].any()
            assert not training.average[k].weight[~seen[-1][str(k)]].any()
    assert len({tuple(int(mask.sum()) for mask in masks.values()) for masks in seen}) == 1
    assert sum(int(mask.sum()) for mask in seen[0].values()) == 165  # half of 330
    moved = [s for s in range(1, 32) if any(not torch.equal(seen[s][k], seen[s - 1][k]) for k in seen[s])]
    assert set(moved) <= set(hooks.events[1:-1])
    assert len(moved) >= 5
    assert hooks.pruned is not None and hooks.pruned.masks is seen[-1]


def test_set_drops_three_tenths_of_each_layer_and_grows_at_random_from_the_prune_stream() -> None:
    model = nn.Sequential(nn.Linear(40, 20), nn.Tanh())
    context = (torch.randn(2, 40),)
    thing = strategy("set")

    def update(seed: int) -> tuple[Tensor, Tensor]:
        hooks = SCHEDULES["set"].hooks(thing, context_of(model, context, seed), Level.sparsity(0.5), "params", 40)
        training: Any = Still(model)
        hooks.before_step(0, training)
        assert isinstance(hooks.removal, WeightRemoval)
        before = hooks.removal.masks["0"]
        after(hooks, 0, training)
        assert isinstance(hooks.removal, WeightRemoval)
        return before, hooks.removal.masks["0"]

    (start, one), (_, same), (_, other) = update(0), update(0), update(1)
    smallest = torch.argsort(model[0].weight.detach().abs().flatten())[400:520]  # 120 = .3 * 400 of the active half
    left = start.flatten().index_fill(0, smallest, False)
    assert (one.flatten() & left).sum() == 280
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


# Following the balance.


def follow(accuracies: list[float]) -> list[int]:
    """How many of twenty weights are gone after each event, with that accuracy of D since the event before."""
    hooks, training = started(strategy("performance"), steps=28)  # twenty-one steps, an event in twenty of them
    assert isinstance(hooks, PerformanceHooks)
    assert len(hooks.events) == 20
    counts = []
    for event, accuracy in zip(hooks.events, accuracies, strict=False):
        hooks.accuracy = accuracy
        training.last = SimpleNamespace(accuracy_fake=accuracy)
        after(hooks, event, training)
        counts.append(len(zeros(training)))
    return counts


def test_sparsity_advances_by_equal_factors_while_the_generator_keeps_up() -> None:
    expected = [round(20 * (1 - 0.5 ** (k / 10))) for k in range(1, 11)]
    assert follow([0.5] * 19) == expected + [10] * 9


def test_it_waits_while_the_discriminator_is_ahead_and_goes_back_when_it_wins() -> None:
    one, two, three = (round(20 * (1 - 0.5 ** (k / 10))) for k in (1, 2, 3))
    hooks, training = started(strategy("performance"), steps=28)
    assert isinstance(hooks, PerformanceHooks)
    held = []
    for event, accuracy in zip(
        hooks.events, [0.7, 0.7, 0.7, 0.8, 0.95, 0.96, 0.99, 0.9, 0.6, 1, 1, 1, 1], strict=False
    ):
        hooks.accuracy = accuracy
        training.last = SimpleNamespace(accuracy_fake=accuracy)
        after(hooks, event, training)
        held.append(round(20 * hooks.removal.sparsity("params")) if hooks.removal else 0)
    assert held == [one, two, three, three, three, two, one, one, two, one, 0, 0, 0]


@pytest.mark.parametrize("accuracy", [0.0, 0.9, 1.0])
def test_the_target_is_reached_at_the_last_event_whatever_the_balance(accuracy: float) -> None:
    assert follow([accuracy] * 20)[-1] == 10


def test_a_knob_of_its_own_grows_in_equal_parts() -> None:
    hooks, training = started(strategy("performance"))
    hooks.level = Level("threshold", 3.0)
    hooks.strategy = cast(Strategy, SimpleNamespace(rank=lambda *_, **__: None, decide=lambda _, level, __: level))
    assert [hooks.decide(training, share).value for share in (0.25, 1.0)] == [0.75, 3.0]  # type: ignore[attr-defined]


def test_with_few_events_the_way_has_one_stage() -> None:
    stages = {}
    for steps in (2, 4, 28):
        hooks, _ = started(strategy("performance"), steps=steps)
        assert isinstance(hooks, PerformanceHooks)
        stages[len(hooks.events)] = hooks.stages
    assert stages == {count: max(1, count // 2) for count in stages} and min(stages) < 4


def test_the_accuracy_is_smoothed() -> None:
    hooks, training = started(strategy("performance"))
    assert isinstance(hooks, PerformanceHooks)
    found = []
    for now in (0.5, 1.0, 1.0):
        training.last = SimpleNamespace(accuracy_fake=now)
        hooks.watch(0, training)
        found.append(hooks.accuracy)
    assert found == pytest.approx([0.5, 0.55, 0.595])


def test_what_was_let_back_and_may_be_again_survives_an_interruption() -> None:
    hooks, training = started(strategy("performance"), steps=28)
    again, _ = started(strategy("performance"), steps=28)
    assert isinstance(hooks, PerformanceHooks) and isinstance(again, PerformanceHooks)
    for event in hooks.events[:4]:
        training.last = SimpleNamespace(accuracy_fake=0.5)
        after(hooks, event, training)
    again.load_state_dict(copy.deepcopy(hooks.state_dict()))
    for one in (hooks, again):
        one.accuracy = 1.0
        training.last = SimpleNamespace(accuracy_fake=1.0)
        after(one, hooks.events[4], training)
    assert len(again.reached) == len(hooks.reached) == 3
    assert isinstance(again.removal, WeightRemoval) and isinstance(hooks.removal, WeightRemoval)
    assert all(torch.equal(again.removal.masks[k], mask) for k, mask in hooks.removal.masks.items())


# The proximal step.


def test_the_soft_threshold_by_hand() -> None:
    found = soft_threshold(torch.tensor([0.3, -0.3, 0.05, 0.0, -1.0]), 0.125)
    torch.testing.assert_close(found, torch.tensor([0.175, -0.175, 0.0, 0.0, -0.875]))


def normed() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.2), nn.Linear(4, 3)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([0.5, -0.0015, -2.0, 0.001]))
    return model


def test_scales_shrink_by_the_learning_rate_in_every_step_until_channels_are_cut_by_them() -> None:
    hooks, training = started(strategy("bnprox", channel, bnscale), normed(), steps=4)
    after(hooks, 0, training)
    torch.testing.assert_close(training.generator[1].weight.detach(), torch.tensor([0.499, -0.0005, -1.999, 0.0]))
    after(hooks, 1, training)
    torch.testing.assert_close(training.generator[1].weight.detach(), torch.tensor([0.498, 0.0, -1.998, 0.0]))
    assert hooks.pruned is None and training.generator[3].weight.all()
    pruned = after(hooks, 2, training)
    assert pruned.kept["1"]["out"].tolist() == [0, 2]
    torch.testing.assert_close(pruned.generator[1].weight.detach(), torch.tensor([0.497, -1.997]))
    training.generator = pruned.generator
    after(hooks, 3, training)
    torch.testing.assert_close(training.generator[1].weight.detach(), torch.tensor([0.497, -1.997]))


def test_without_batchnorm_there_is_no_scale_to_pull_at() -> None:
    with pytest.raises(NotApplicable, match="no BatchNorm"):
        started(strategy("bnprox", channel))


@pytest.mark.parametrize(
    ("name", "granularity", "reason"),
    [
        ("set", channel, "set acts on units of weight, not of channel"),
        ("rigl", channel, "rigl acts on units of weight, not of channel"),
        ("bnprox", weight, "bnprox acts on units of channel, not of weight"),
    ],
)
def test_a_granularity_that_makes_no_sense_is_not_applicable(name: str, granularity: Any, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        started(strategy(name, granularity))


def test_a_removal_without_a_plain_form_cannot_be_saved() -> None:
    hooks, _ = started(strategy("iterative"))
    hooks.removal = cast(Any, object())
    with pytest.raises(TypeError, match="object has no method `state`"):
        hooks.state_dict()
