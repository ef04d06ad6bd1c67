"""What `check-strategy` demands, and that it sees a strategy that does not do it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from bench.conformance import SPARSITIES, check_strategy, failures
from strategies.allocation import global_
from strategies.base import Context, Criterion, Granularity, Scores, Strategy
from strategies.catalog import STRATEGIES
from strategies.granularity.weight import weight

ONE_SHOT = [name for name in STRATEGIES if STRATEGIES[name].schedule is None]


@pytest.fixture
def register() -> Iterator[object]:
    def add(score: object, **settings: object) -> str:
        criterion = Criterion("own", score, "a test", "own", **settings)  # type: ignore[arg-type]
        STRATEGIES.add("own-weight-global", Strategy("own-weight-global", criterion, weight, global_))
        return "own-weight-global"

    yield add
    if "own-weight-global" in STRATEGIES:
        STRATEGIES.forget(["own-weight-global"])


@pytest.mark.parametrize("name", ONE_SHOT)
def test_every_one_shot_strategy_conforms_at_three_sparsities(name: str) -> None:
    checks = check_strategy(name, ("dummy",), (0.05, 0.5, 0.95))
    assert not failures(checks)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_conforms_at_all_sparsities(name: str) -> None:
    checks = check_strategy(name, ("dummy",), SPARSITIES)
    assert not failures(checks)


def found(register: object, score: object, **settings: object) -> dict[str, str]:
    checks = check_strategy(register(score, **settings), ("dummy",), (0.5, 0.9))  # type: ignore[operator]
    return {check.what: check.detail for check in failures(checks)}


def l1(context: Context) -> Scores:
    return {name: w.abs() for name, w in context.weights()}


def test_a_sound_criterion_passes(register: object) -> None:
    assert found(register, l1) == {}


def test_a_criterion_that_changes_the_generator_is_seen(register: object) -> None:
    def spoils(context: Context) -> Scores:
        with torch.no_grad():
            next(context.generator.parameters()).add_(1.0)
        return l1(context)

    assert "changed" in found(register, spoils)["leaves the networks that it reads as they were"]


def test_a_criterion_with_randomness_of_its_own_is_seen(register: object) -> None:
    wild = found(register, lambda context: {n: torch.rand(w.shape) for n, w in context.weights()})
    assert wild == {"gives the same network for the same seed": "0.5, 0.9"}


def test_a_criterion_that_asks_for_less_than_it_needs_is_seen(register: object) -> None:
    def greedy(context: Context) -> Scores:
        context.inputs(4)
        return l1(context)

    assert "no sampler" in found(register, greedy)["asks only for what it says it needs"]
    STRATEGIES.forget(["own-weight-global"])
    assert found(register, greedy, needs=frozenset({"inputs"})) == {}


def test_scores_that_are_not_numbers_are_seen(register: object) -> None:
    broken = found(register, lambda context: {n: w / 0 * 0 for n, w in context.weights()})
    assert "not numbers" in broken["scores without an exception"]


def test_granularities_say_what_they_need() -> None:
    granularities: list[Granularity] = [STRATEGIES[name].granularity for name in STRATEGIES]
    assert all(g.needs <= {"inputs", "data", "discriminator"} for g in granularities)
