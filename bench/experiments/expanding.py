"""From an experiment to its cells."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.experiments.known import Known
from bench.experiments.schema import DENSE, Experiment, Target
from bench.records import Cell
from bench.records.finishes import NO_FINISH

if TYPE_CHECKING:
    from strategies.base import Levels

MOST_CELLS = 50_000
"""Of one experiment: 30 MB of manifest, hours of even the smallest cells."""


def expand(experiment: Experiment, known: Known) -> tuple[Cell, ...]:
    """Every cell once, ordered by workload, checkpoint, recovery, finish, strategy (dense first), level, seed. Dense
    without a finish is always in: all others of its recovery are compared with it.

    Without those of strategies that may be a plug-in's which was not run: nobody knows their levels.
    """
    sweep = experiment.sweep
    points: list[tuple[str, dict[str, Any], Target, dict[str, float]]] = [(DENSE, {}, "params", {"sparsity": 0.0})]
    for choice in (choice for choice in sweep.strategies if choice.name != DENSE and not known.may_be(choice.name)):
        levels = choice.levels or own_levels(known.strategies[choice.name], sweep.sparsities)
        points += [(choice.label, choice.constraints.table, sweep.target, level) for level in levels]
    cells: dict[tuple[object, ...], Cell] = {}
    finished = [(finish, point) for finish in sweep.finish for point in points]
    finished = finished if NO_FINISH in sweep.finish else [(NO_FINISH, points[0]), *finished]
    for workload, checkpoint, recovery, (finish, point), seed in itertools.product(
        sweep.workloads, sweep.checkpoints, sweep.recovery, finished, sweep.seeds
    ):
        strategy, constraints, target, level = point
        cell = Cell(
            workload=workload,
            checkpoint=checkpoint,
            strategy=strategy,
            target=target,
            level=dict(level),
            recovery=recovery,
            finish=finish,
            seed=seed,
            constraints=constraints,
        )
        cells.setdefault((workload, checkpoint, strategy, recovery, finish, seed, *level.items()), cell)
    return tuple(cells.values())


def cell_count(experiment: Experiment, known: Known) -> int:
    """How many cells `expand` would give, but for repeated ones."""
    sweep = experiment.sweep
    points = 1
    for choice in (choice for choice in sweep.strategies if choice.name != DENSE):
        unknown = known.may_be(choice.name)
        swept = sweep.sparsities if unknown else own_levels(known.strategies[choice.name], sweep.sparsities)
        points += len(choice.levels or swept)
    each = points * len(sweep.finish) + (NO_FINISH not in sweep.finish)
    return len(sweep.workloads) * len(sweep.checkpoints) * len(sweep.recovery) * each * len(sweep.seeds)


def own_levels(levels: Levels, sparsities: Sequence[float]) -> list[dict[str, float]]:
    """The levels of a strategy for which the experiment names none."""
    if levels.continuous:
        return [{"sparsity": value} for value in sparsities]
    return [{levels.knob or "sparsity": value} for value in levels.fixed]
