"""`ganprune check-strategy`: what every strategy must do, tried on small networks. For third parties and for ours."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.base.seeds import stream
from bench.training.recovery import Scheduled, parse_recovery, recover
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.data import DATA_SOURCES
from bench.workloads.loaded import Gan
from strategies.base import (
    Context,
    Infeasible,
    Level,
    MissingData,
    NotApplicable,
    Pruned,
    Ranking,
    Snapshot,
)
from strategies.builtin import STRATEGIES
from strategies.composition import Strategy
from strategies.layers import outputs, prunable_layers

SPARSITIES = tuple(k / 20 for k in range(1, 20))
"""From .05 to .95."""

TRAINING_STEPS = 8

Verdict = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True)
class Check:
    """One requirement on one workload."""

    workload: str
    what: str
    verdict: Verdict
    detail: str = ""


def check_strategy(
    name: str, workloads: tuple[str, ...] = ("dummy", "mnist-mlp"), sparsities: tuple[float, ...] = SPARSITIES
) -> list[Check]:
    """Every requirement on every workload; see `docs/adding-a-strategy.md` for what they are.

    All ``sparsities`` on the first workload, the lowest, the middle and the highest on the others.

    Raises:
        UnknownName: no strategy of that name.
    """
    strategy = STRATEGIES[name]
    checks = [Check("", "says its formula and source", *_said(strategy))]
    few = (sparsities[0], sparsities[len(sparsities) // 2], sparsities[-1])
    for workload in workloads:
        checks += _on_workload(strategy, workload, sparsities if workload == workloads[0] else few)
    return checks


def _said(strategy: Strategy) -> tuple[Verdict, str]:
    empty = [field for field in ("formula", "source") if not getattr(strategy.criterion, field).strip()]
    return ("failed", f"criterion {strategy.criterion.name!r} has no {empty[0]}") if empty else ("passed", "")


def _on_workload(strategy: Strategy, workload: str, sparsities: tuple[float, ...]) -> Iterator[Check]:
    context = context_for(strategy, workload, seed=0)
    before = _state(context)
    try:
        ranking = strategy.rank(context)
    except NotApplicable as reason:
        yield Check(workload, "fits the workload", "not applicable", str(reason))
        return
    except MissingData as error:
        yield Check(workload, "asks only for what it says it needs", "failed", str(error))
        return
    except Exception as error:  # noqa: BLE001  (whatever somebody else's strategy raises is the finding)
        yield Check(workload, "scores without an exception", "failed", f"{type(error).__name__}: {error}")
        return
    yield Check(workload, "scores without an exception", "passed")
    yield _check(workload, "leaves the networks that it reads as they were", _unchanged(before, _state(context)))
    if strategy.schedule is None:
        yield from _one_shot(strategy, workload, context, ranking, sparsities)
    else:
        yield from _in_training(strategy, workload, ranking, sparsities)


def _one_shot(
    strategy: Strategy, workload: str, context: Context, ranking: Ranking, sparsities: tuple[float, ...]
) -> Iterator[Check]:
    made: list[tuple[Level, Pruned]] = []
    problems: dict[str, list[str]] = {"prunes without an exception": [], "reaches what is asked within one unit": []}
    again = strategy.rank(context_for(strategy, workload, seed=0))
    different: list[str] = []
    refused: list[str] = []
    for level in levels_of(strategy, sparsities):
        try:
            removal = strategy.decide(ranking, level, "params")
            pruned = removal.apply(context.generator)
        except Infeasible as error:
            if error.maximum >= level.value:
                problems["reaches what is asked within one unit"].append(f"{level.value:g}: {error}")
            refused.append(f"{level.value:g}: {error}")
            continue
        except NotApplicable as reason:
            refused.append(f"{level.value:g}: {reason}")
            continue
        except Exception as error:  # noqa: BLE001
            problems["prunes without an exception"].append(f"{level.value:g}: {type(error).__name__}: {error}")
            continue
        made.append((level, pruned))
        gap = abs(removal.sparsity("params") - level.value)
        if level.name == "sparsity" and gap > unit(strategy, pruned, ranking):
            problems["reaches what is asked within one unit"].append(f"{level.value:g}: {gap:.4f} away")
        twin = strategy.decide(again, level, "params").apply(context.generator)
        if not _same(pruned.generator, twin.generator):
            different.append(f"{level.value:g}")
    for what, found in problems.items():
        yield _check(workload, what, "; ".join(found[:3]))
    yield _check(workload, "reaches any level at all", _none_reached(len(made), refused))
    yield _check(workload, "gives the same network for the same seed", ", ".join(different[:3]))
    broken = [f"{level.value:g}" for level, pruned in made if not _finite(pruned.generator, context)]
    yield _check(workload, "gives networks with a finite output", ", ".join(broken[:3]))
    sizes = [_left(pruned.generator) for level, pruned in made if level.name == "sparsity"]
    yield _check(workload, "leaves no more at a higher sparsity", "" if sizes == sorted(sizes)[::-1] else str(sizes))


def _in_training(strategy: Strategy, workload: str, ranking: Ranking, sparsities: tuple[float, ...]) -> Iterator[Check]:
    """A third of the levels, each through a training of a few steps."""
    thing = BUILT_IN[workload]
    gan = Gan(thing, load_checkpoint(thing), DATA_SOURCES[thing.data]())
    problems: list[str] = []
    refused: list[str] = []
    trained = 0
    for level in levels_of(strategy, sparsities[len(sparsities) // 4 :: max(1, len(sparsities) // 3)]):
        context = context_for(strategy, workload, seed=0)
        try:
            recovered = recover(
                parse_recovery(f"finetune-{TRAINING_STEPS}"),
                gan,
                Scheduled(strategy, context, level, "params"),
                seed=0,
            )
        except (Infeasible, NotApplicable) as reason:
            refused.append(f"{level.value:g}: {reason}")
            continue
        except Exception as error:  # noqa: BLE001
            problems.append(f"{level.value:g}: {type(error).__name__}: {error}")
            continue
        trained += 1
        if not _finite(recovered.generator, context):
            problems.append(f"{level.value:g}: the output is not finite")
        reached = 1 - _left(recovered.generator) / _left(gan.checkpoint.generator)
        assert recovered.pruned is not None
        if level.name == "sparsity" and abs(reached - level.value) > unit(strategy, recovered.pruned, ranking):
            problems.append(f"{level.value:g}: reached {reached:.4f}")
    yield _check(workload, "prunes within a training, to what is asked", "; ".join(problems[:3]))
    yield _check(workload, "reaches any level at all", _none_reached(trained, refused))


def levels_of(strategy: Strategy, sparsities: tuple[float, ...]) -> list[Level]:
    """The sparsities, or the values of its own knob where it cannot be asked for a sparsity."""
    if strategy.levels.continuous:
        return [Level.sparsity(value) for value in sparsities]
    return [Level(strategy.levels.knob or "sparsity", value) for value in strategy.levels.fixed]


def unit(strategy: Strategy, pruned: Pruned, ranking: Ranking) -> float:
    """The largest share of the weights that one unit (weight, channel, block) can be: how near a target can be met."""
    total = sum(cut.weights for cut in pruned.layers)
    if strategy.granularity.name != "channel":
        shares = getattr(ranking, "shares", None)  # of what is gone after each unit; weights go one by one
        return 1 / total + 1e-12 if shares is None else float(np.diff(shares["params"]).max())
    # A channel takes its row in the layer that makes it and its column wherever it is read.
    rows = [cut.weights / cut.width[0] for cut in pruned.layers]
    columns = [cut.weights / cut.width[1] for cut in pruned.layers]
    return (max(rows) + 2 * max(columns)) / total


def context_for(strategy: Strategy, workload: str, seed: int) -> Context:
    """What the strategy is given there: what it says it needs, and nothing else."""
    thing = BUILT_IN[workload]
    checkpoint = load_checkpoint(thing)
    needs = strategy.needs
    early = Snapshot(copy.deepcopy(checkpoint.generator), copy.deepcopy(checkpoint.discriminator))
    return Context(
        generator=checkpoint.generator,
        example_inputs=thing.inputs.sample(2, stream(0, "prune", "example")),
        rng=stream(seed, "prune"),
        draw_inputs=thing.inputs.sample if needs & {"inputs", "data", "discriminator"} else None,
        images=DATA_SOURCES[thing.data]().train if "data" in needs else None,
        discriminator=checkpoint.discriminator if "discriminator" in needs else None,
        condition=thing.condition.of_inputs,
        rewind=early if "rewind" in needs else None,
        initialisation=early if "initialisation" in needs else None,
    )


def _check(workload: str, what: str, problem: str) -> Check:
    return Check(workload, what, "failed" if problem else "passed", problem)


def _none_reached(reached: int, refused: Sequence[str]) -> str:
    """What is wrong where every level was refused: a strategy that prunes nothing would pass all else."""
    return "" if reached or not refused else "; ".join(refused[:3])


def _state(context: Context) -> dict[str, Tensor]:
    networks = {"generator": context.generator, "discriminator": context.discriminator}
    return {
        f"{name}.{key}": value.clone()
        for name, network in networks.items()
        if network is not None
        for key, value in [*network.state_dict().items(), ("training", torch.tensor(network.training))]
    }


def _unchanged(before: dict[str, Tensor], after: dict[str, Tensor]) -> str:
    changed = [key for key in before if key not in after or not torch.equal(before[key], after[key])]
    return f"{', '.join(changed[:3])} changed" if changed or before.keys() != after.keys() else ""


def _same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def _finite(model: nn.Module, context: Context) -> bool:
    with torch.no_grad():
        return bool(torch.isfinite(outputs(model, context.example_inputs)).all())


def _left(model: nn.Module) -> int:
    return sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(model).values())


def failures(checks: list[Check]) -> list[Check]:
    """Those that failed."""
    return [check for check in checks if check.verdict == "failed"]
