"""Every schedule in a real training, however short: what was asked for is reached within one unit."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from bench.training.loop import GanTraining
from strategies.base import Infeasible, Pruned
from strategies.granularity.channel import ChannelRanking
from strategies.layers import named_weights, prunable_layers, widths
from strategies.schedules import PruningHooks
from tests.training.test_resume import APPLICABLE, made, networks, strategy

WEIGHTS = {"net.0": 8 * 12 * 16, "net.3": 12 * 10 * 9, "net.6": 10 * 16}
ONE_CHANNEL = 8 * 16 + 10 * 9
"""What the first layer's channel is worth: its own filter, and what the second layer reads of it."""


def finished(schedule: str, granularity: str, steps: int, sparsity: float) -> tuple[GanTraining, Pruned]:
    run = made(strategy(schedule, granularity), steps=steps, sparsity=sparsity)
    for step in range(steps):
        run.step()
        assert isinstance(run.hooks, PruningHooks)
        assert (run.hooks.pruned is not None) == (step >= run.hooks.last)
        if granularity == "channel":  # the size changes once, at the last event
            full = widths(run.generator) == widths(networks(0)[0])
            assert full == (step < run.hooks.last)
    assert isinstance(run.hooks, PruningHooks) and run.hooks.pruned is not None
    return run, run.hooks.pruned


def check(schedule: str, granularity: str, steps: int, sparsity: float) -> None:
    total = sum(WEIGHTS.values())
    if granularity == "channel" and sparsity > most_that_channels_can_go():
        with pytest.raises(Infeasible):
            made(strategy(schedule, granularity), steps=steps, sparsity=sparsity)
        return
    run, pruned = finished(schedule, granularity, steps, sparsity)
    kept = sum(layer.kept for layer in pruned.layers)
    assert {layer.name: layer.weights for layer in pruned.layers} == WEIGHTS
    if granularity == "weight":
        assert total - kept == round(sparsity * total)
        for model in (run.generator, run.ema.model):
            for name, values in named_weights(model):
                assert not values[~pruned.masks[name]].any()
        assert sum(int(mask.sum()) for mask in pruned.masks.values()) == kept
    else:
        assert abs(1 - kept / total - sparsity) <= ONE_CHANNEL / total
        for model in (run.generator, run.ema.model):
            found = {name: layer.weight.numel() for name, layer in prunable_layers(model).items()}
            assert found == {layer.name: layer.kept for layer in pruned.layers}
    with torch.no_grad():
        assert torch.isfinite(run.ema.model.eval()(torch.randn(2, 8))).all()


def most_that_channels_can_go() -> float:
    """One channel left everywhere."""
    return 1 - (8 * 16 + 9 + 16) / sum(WEIGHTS.values())


@pytest.mark.parametrize(("schedule", "granularity"), APPLICABLE)
@pytest.mark.parametrize(("steps", "sparsity"), [(1, 0.95), (2, 0.3), (3, 0.7), (9, 0.9)])
def test_the_target_is_reached_within_one_unit(schedule: str, granularity: str, steps: int, sparsity: float) -> None:
    check(schedule, granularity, steps, sparsity)


def grid() -> Iterator[tuple[int, float]]:
    yield from ((3, tenth / 20) for tenth in range(1, 20, 2))
    yield from ((steps, 0.6) for steps in (1, 2, 4, 5, 13))


@pytest.mark.slow
@pytest.mark.parametrize(("schedule", "granularity"), APPLICABLE)
def test_every_target_is_reached_and_in_every_small_number_of_steps(schedule: str, granularity: str) -> None:
    for steps, sparsity in grid():
        check(schedule, granularity, steps, sparsity)


def test_the_most_that_channels_can_go_is_what_the_ranking_says() -> None:
    run = made(strategy("iterative", "channel"))
    assert isinstance(run.hooks, PruningHooks)
    ranking = run.hooks.strategy.rank(run.hooks.context)
    assert isinstance(ranking, ChannelRanking)
    assert math.isclose(ranking.shares["params"][-1], most_that_channels_can_go())


def test_soft_weights_come_back_in_a_real_training() -> None:
    run = made(strategy("soft", "weight"), steps=30, sparsity=0.5)
    run.step()
    zeroed = {name: values == 0 for name, values in named_weights(run.generator)}
    assert sum(int(where.sum()) for where in zeroed.values()) == round(0.5 * sum(WEIGHTS.values()))
    for _ in range(29):
        run.step()
    assert isinstance(run.hooks, PruningHooks) and run.hooks.pruned is not None
    back = sum(int((zeroed[name] & mask).sum()) for name, mask in run.hooks.pruned.masks.items())
    assert back > 20


def test_dynamic_training_ends_with_another_mask_than_it_began_with_and_as_many_weights() -> None:
    for name in ("set", "rigl"):
        run = made(strategy(name, "weight"), steps=30, sparsity=0.5)
        start, end = {}, {}
        for _ in range(30):
            run.step()
            now = {layer: values != 0 for layer, values in named_weights(run.generator)}
            start, end = start or now, now
        assert sum(int((start[layer] ^ end[layer]).sum()) for layer in start) > 100
        kept = sum(int(mask.sum()) for mask in end.values())
        assert kept == round(0.5 * sum(WEIGHTS.values()))


def test_lottery_tickets_restart_the_average_and_the_optimizers() -> None:
    run = made(strategy("lottery-init", "weight"), steps=8)
    assert isinstance(run.hooks, PruningHooks)
    for step in range(8):
        run.step()
        rounds = [event for event in run.hooks.events if event <= step]
        since = step - rounds[-1]
        assert run.ema.updates == since
        for optimizer in (run.opt_g, run.opt_d):
            counts = {int(state["step"]) for state in optimizer.state.values() if state}
            assert counts == ({since} if since else set())
