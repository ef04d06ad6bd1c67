"""What `check-strategy` demands, and that it sees a strategy that does not do it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch

import pytest
import torch

from bench.check.strategy import SPARSITIES, check_strategy, context_for, failures, levels_of, unit
from strategies.allocation import global_
from strategies.base import Context, Criterion, Infeasible, NotApplicable, Scores, Wiring
from strategies.builtin import STRATEGIES
from strategies.composition import Granularity, Strategy
from strategies.granularity.weight import weight
from strategies.layers import outputs

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


REAL = ("mnist-dcgan", "mnist-mlp")
WIRING = {workload: Wiring() for workload in REAL}

NO_TRANSPOSE = "no layer of the generator has the shape of the transpose of a linear layer of D"
MISFITS = {
    ("*-block", "*"): "no block or layer gives back the shape that it takes",
    ("*-connection-*", "*"): "no layer reads a concatenation",
    ("bnscale-*", "mnist-mlp"): "the generator has no BatchNorm",
    ("unlike-share", "*"): "no layer of the generator has the shape of another of its own",
    ("unlike-share-d", "mnist-dcgan"): NO_TRANSPOSE,
    ("unlike-share-d", "dummy"): NO_TRANSPOSE,
}
"""Names of strategies and workloads that do not fit each other, and why. All others must fit."""


def misfit(name: str, workload: str) -> str | None:
    """Why the two are not expected to fit; None: they are."""
    found = [reason for (n, w), reason in MISFITS.items() if fnmatch(name, n) and fnmatch(workload, w)]
    assert len(found) <= 1, f"{name} on {workload}: in the table twice"
    return found[0] if found else None


def pruned_everywhere(name: str, workload: str, sparsities: tuple[float, ...]) -> None:
    """Prune a trained GAN at every level from one score: as near as one unit, finite, nothing lost on the way."""
    strategy = STRATEGIES[name]
    found = replace(context_for(strategy, workload, seed=0), wiring=WIRING[workload])
    if (reason := misfit(name, workload)) is not None:
        with pytest.raises(NotApplicable, match=f"^{re.escape(reason)}"):
            strategy.rank(found)
        return
    ranking = strategy.rank(found)
    for level in levels_of(strategy, sparsities):
        try:
            removal = strategy.decide(ranking, level, "params")
        except Infeasible as error:
            assert error.maximum < level.value
            continue
        pruned = removal.apply(found.generator)
        reached = 1 - sum(cut.kept for cut in pruned.layers) / sum(cut.weights for cut in pruned.layers)
        assert reached == pytest.approx(removal.sparsity("params"), abs=1e-9)
        if level.name == "sparsity":
            assert abs(reached - level.value) <= unit(strategy, pruned, ranking)
        with torch.no_grad():
            assert torch.isfinite(outputs(pruned.generator, found.example_inputs)).all()


@pytest.mark.parametrize("workload", REAL)
@pytest.mark.parametrize("name", ONE_SHOT)
def test_every_one_shot_strategy_prunes_the_trained_gans(name: str, workload: str) -> None:
    pruned_everywhere(name, workload, (0.05, 0.5, 0.95))


@pytest.mark.slow
@pytest.mark.parametrize("workload", REAL)
@pytest.mark.parametrize("name", ONE_SHOT)
def test_every_one_shot_strategy_prunes_the_trained_gans_at_every_sparsity(name: str, workload: str) -> None:
    pruned_everywhere(name, workload, SPARSITIES)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_conforms_at_all_sparsities(name: str) -> None:
    """Those that train do so for a few steps on `dummy`."""
    checks = check_strategy(name, ("dummy",), SPARSITIES)
    assert not failures(checks)
    (unfit,) = [check.detail for check in checks if check.verdict == "not applicable"] or [None]
    expected = misfit(name, "dummy")
    assert (unfit is None) == (expected is None), unfit
    assert unfit is None or unfit.startswith(str(expected))


def test_every_expected_misfit_is_one_of_a_strategy_that_there_is() -> None:
    names = [name for name, _ in MISFITS]
    assert [name for name in names if not any(fnmatch(one, name) for one in STRATEGIES)] == []


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


def test_a_strategy_that_refuses_every_level_is_seen(register: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotApplicable("not today")

    name = register(l1)  # type: ignore[operator]
    monkeypatch.setattr(Strategy, "decide", refuse)
    failed = {check.what: check.detail for check in failures(check_strategy(name, ("dummy",), (0.5, 0.9)))}
    assert failed == {"reaches any level at all": "0.5: not today; 0.9: not today"}


def test_scores_that_are_not_numbers_are_seen(register: object) -> None:
    broken = found(register, lambda context: {n: w / 0 * 0 for n, w in context.weights()})
    assert "not numbers" in broken["scores without an exception"]


def test_granularities_say_what_they_need() -> None:
    granularities: list[Granularity] = [STRATEGIES[name].granularity for name in STRATEGIES]
    assert all(g.needs <= {"inputs", "data", "discriminator"} for g in granularities)
