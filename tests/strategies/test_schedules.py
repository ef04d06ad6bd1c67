"""When pruning happens within a training, and what is held until it is carried out."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from strategies.allocation import global_
from strategies.base import Context, Infeasible, Level, Levels, NotApplicable, Pruned
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy
from strategies.criteria import l1, rownorm
from strategies.granularity.channel import ChannelRanking, channel
from strategies.granularity.weight import weight
from strategies.hooks import Training
from strategies.keeping import KeepHooks
from strategies.layers import named_weights, widths
from strategies.schedules import PruningHooks, Schedule, cubic_share, everystep
from tests.helpers.properties import examples
from tests.strategies.nets import context, context_of, generator, latents

EVERYSTEP = STRATEGIES["rownorm-channel+everystep"]
WEIGHTS = Strategy("l1-weight+everystep", l1, weight, global_, everystep, Levels(knob="threshold"))


@examples(60)
@given(st.integers(2, 5000))
def test_everystep_prunes_in_every_step_of_the_first_three_quarters(steps: int) -> None:
    due = [step for step in range(steps) if everystep.share_at(step, steps) is not None]
    assert due == list(range(len(due)))
    assert len(due) <= 0.75 * steps < len(due) + 1


def test_a_training_of_one_step_prunes_in_that_step() -> None:
    assert everystep.share_at(0, 1) == 1.0


@examples(60)
@given(st.integers(1, 3000))
def test_the_last_event_is_due_everything_and_the_shares_rise_to_it(steps: int) -> None:
    shares = [everystep.share_at(step, steps) for step in everystep.events(steps)]
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert shares[0] > 0


@pytest.mark.parametrize("step", [6, 7, -1])
def test_nothing_is_due_outside_of_the_events(step: int) -> None:
    assert everystep.share_at(step, 8) is None


def test_the_last_share_is_one_whatever_the_curve_says() -> None:
    halfway = Schedule("halfway", lambda steps: range(2), lambda progress: 0.5 * progress, "test", hooks=PruningHooks)
    assert [halfway.share_at(step, 8) for step in range(3)] == [0.25, 1.0, None]


@pytest.mark.parametrize(("progress", "share"), [(0, 0), (0.25, 0.578125), (0.5, 0.875), (1, 1)])
def test_the_cubic_share_is_that_of_its_formula(progress: float, share: float) -> None:
    assert cubic_share(progress) == share


def during(generator: nn.Module, average: nn.Module) -> Training:
    """A training that stands still, with these two networks."""
    return cast(Training, SimpleNamespace(generator=generator, average=average))


def four_neurons() -> nn.Sequential:
    """Rows of norm .1, .5, 1 and 2, read by rows of norm 1 and more."""
    model = nn.Sequential(nn.Linear(2, 4), nn.LeakyReLU(0.2), nn.Linear(4, 3), nn.Tanh()).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.06, 0.08], [0.3, -0.4], [-1.0, 0.0], [0.0, 2.0]]))
        model[0].bias.fill_(5.0)  # not part of the norm
        model[2].weight.fill_(1.0)
        model[2].bias.zero_()
    return model


def hooks(
    level: Level, steps: int, strategy: Strategy = EVERYSTEP, model: nn.Module | None = None
) -> tuple[PruningHooks, nn.Module, nn.Module]:
    dense = model or four_neurons()
    found: Context = context(dense, (torch.tensor([[0.3, -0.7], [1.0, 0.4]]),))
    return (
        PruningHooks(strategy, found, level, "params", steps),
        copy.deepcopy(dense),
        copy.deepcopy(dense),
    )


@pytest.mark.parametrize(
    ("threshold", "stay"), [(0.05, [0, 1, 2, 3]), (0.3, [1, 2, 3]), (0.75, [2, 3]), (1.5, [3]), (99.0, [3])]
)
def test_exactly_the_rows_below_an_absolute_threshold_go_but_never_the_last_one(
    threshold: float, stay: list[int]
) -> None:
    pruning, model, average = hooks(Level("threshold", threshold), steps=1)
    pruned = pruning.after_step(0, during(model, average))
    assert pruned is not None and pruned is pruning.pruned
    assert pruned.kept.get("0", {}).get("out", torch.arange(4)).tolist() == stay
    assert widths(pruned.generator) == {"0": (len(stay), 2), "2": (3, len(stay))}


def test_until_the_last_event_rows_are_held_at_zero_where_they_are_read() -> None:
    pruning, model, average = hooks(Level("threshold", 0.75), steps=8)
    assert pruning.after_step(0, during(model, average)) is None
    for held in (model, average):
        assert held[2].weight.tolist() == [[0.0, 0.0, 1.0, 1.0]] * 3
        assert torch.equal(held[0].weight, four_neurons()[0].weight)


def test_what_is_removed_stays_removed_though_its_row_has_grown() -> None:
    pruning, model, average = hooks(Level("threshold", 0.75), steps=8)
    pruned = None
    for step in range(6):
        assert pruned is None
        pruned = pruning.after_step(step, during(model, average))
        with torch.no_grad():
            model[0].weight[:2] = 50.0
            model[2].weight.fill_(1.0)
    assert pruned is not None
    assert pruned.kept["0"]["out"].tolist() == [2, 3]


def test_rows_that_shrink_later_go_later() -> None:
    pruning, model, average = hooks(Level("threshold", 0.75), steps=8)
    pruning.after_step(0, during(model, average))
    with torch.no_grad():
        model[0].weight[2] = 0.0
    for step in range(1, 6):
        pruned = pruning.after_step(step, during(model, average))
    assert pruned is not None and pruned.kept["0"]["out"].tolist() == [3]


def test_after_the_physical_cut_nothing_more_happens() -> None:
    pruning, model, average = hooks(Level("threshold", 0.75), steps=4)
    for step in range(3):
        pruned = pruning.after_step(step, during(model, average))
    assert pruned is not None
    before = copy.deepcopy(pruned.generator.state_dict())
    assert pruning.after_step(3, during(pruned.generator, pruned.generator)) is None
    assert all(torch.equal(value, before[key]) for key, value in pruned.generator.state_dict().items())


@pytest.mark.parametrize("name", ["dummy", "mlp", "residual"])
def test_a_sparsity_is_reached_at_the_last_event_and_never_overshot_before(name: str) -> None:
    model = generator(name)
    pruning = PruningHooks(EVERYSTEP, context(model, latents(name)), Level.sparsity(0.5), "params", 10)
    ranking = EVERYSTEP.rank(context_of(name))
    assert isinstance(ranking, ChannelRanking)
    largest_step = float(np.diff(ranking.shares["params"]).max())
    reached = []
    for step in range(7):
        pruning.after_step(step, during(model, model))
        assert pruning.removal is not None
        reached.append(pruning.removal.sparsity("params"))
    assert reached == sorted(reached)
    assert reached[0] < 0.4
    assert abs(reached[-1] - 0.5) <= largest_step
    assert pruning.pruned is not None
    left = [sum(w.numel() for _, w in named_weights(m)) for m in (pruning.pruned.generator, model)]
    assert 1 - left[0] / left[1] == pytest.approx(reached[-1], abs=1e-12)


def test_a_training_schedule_without_steps_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="no training steps"):
        hooks(Level("threshold", 0.5), steps=0)


def test_a_target_out_of_reach_fails_before_the_training() -> None:
    with pytest.raises(Infeasible):
        hooks(Level.sparsity(0.99), steps=8)


def test_a_strategy_without_a_schedule_has_no_hooks() -> None:
    with pytest.raises(ValueError, match="has no schedule"):
        hooks(Level.sparsity(0.5), steps=8, strategy=Strategy("l1-channel", l1, channel, global_))


def test_a_level_of_another_strategy_is_refused() -> None:
    pruning, model, average = hooks(Level("rank", 3.0), steps=4)
    with pytest.raises(ValueError, match="has no level 'rank'"):
        pruning.after_step(0, during(model, average))


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_masks_of_a_schedule_are_zero_in_the_network_and_its_average_at_the_end(steps: int) -> None:
    pruning, model, average = hooks(Level.sparsity(0.5), steps, WEIGHTS)
    pruned = None
    for step in range(steps):
        with torch.no_grad():  # what a training step does to weights that were zero
            for parameter in [*model.parameters(), *average.parameters()]:
                parameter.add_(0.01)
        pruned = pruning.after_step(step, during(model, average)) or pruned
    assert pruned is not None and not pruned.physical
    assert sum(int((~mask).sum()) for mask in pruned.masks.values()) == 10
    for trained in (model, average):
        for name, values in named_weights(trained):
            assert not values[~pruned.masks[name]].any()
            assert values[pruned.masks[name]].all()


def test_mask_hooks_keep_zeros_in_the_network_and_its_average_and_touch_nothing_else() -> None:
    model, average = four_neurons(), four_neurons()
    mask = torch.tensor([[True, False], [True, True], [True, True], [False, True]])
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    expected["0.weight"][~mask] = 0.0
    keeping = KeepHooks(Pruned(nn.Identity(), (), masks={"0": mask}))
    assert keeping.after_step(0, during(model, average)) is None
    for trained in (model, average):
        assert all(torch.equal(value, expected[key]) for key, value in trained.state_dict().items())


def test_the_score_of_a_row_is_its_norm() -> None:
    assert EVERYSTEP.criterion is rownorm
    assert (EVERYSTEP.levels.knob, EVERYSTEP.levels.continuous) == ("threshold", True)
    assert EVERYSTEP.needs == {"training"}
