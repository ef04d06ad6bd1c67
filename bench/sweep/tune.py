"""`ganprune tune`: the highest sparsity whose loss of quality stays within a tolerance, by cross-validation.

The training images and the generator's inputs are dealt out to disjoint folds. In each fold the pruned generator is
compared with dense on the same inputs and against the same real images, so most of the noise of a small fold cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import nn

from bench.base.errors import Mistakes
from bench.base.machine import one_thread
from bench.base.ranges import SEEDS
from bench.experiments.schema import MOST_IMAGES
from bench.records import Cell
from bench.statistics import paired
from bench.sweep.cell import make
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks import TASKS, Quantity
from bench.tasks.evaluation import Folds
from bench.training.recovery.asked import asked_recovery
from bench.workloads.builtin import BUILT_IN
from strategies.base import Infeasible, NotApplicable
from strategies.builtin import DENSE, STRATEGIES
from strategies.registry import UnknownName

GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Sparsities that are tried first, from the lowest on, until one loses too much."""

MOST_FOLDS = 1000
"""Each has real images of its own: no data set has more parts that say anything."""

RESOLUTION = 0.01
"""Between the last that holds and the first that does not, halved until they are this close."""


@dataclass(frozen=True)
class Loss:
    """Loss of quality against dense in each fold, on the scale of the quantity (a difference of logarithms, mostly)."""

    sparsity: float
    achieved: float
    folds: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.folds))

    @property
    def noise(self) -> float:
        """Standard error of the mean over the folds, each paired with dense's; NaN where one is not finite."""
        if not all(map(math.isfinite, self.folds)):
            return math.nan
        estimate = paired([0.0] * len(self.folds), self.folds)
        return math.nan if estimate is None else estimate.error


Verdict = Literal["found", "none", "cannot be resolved", "not applicable"]


@dataclass(frozen=True)
class Tuned:
    """What came of one strategy."""

    strategy: str
    verdict: Verdict
    reason: str = ""
    chosen: Loss | None = None
    held_out: float | None = None
    """Mean loss in a fold when the sparsity was chosen on the other folds; None where nothing was chosen."""
    looked_at: tuple[Loss, ...] = field(default=())


def tune(
    workload: str,
    strategies: Sequence[str],
    *,
    tolerance: float,
    metric: str | None = None,
    folds: int = 5,
    num_images: int = 1000,
    recovery: str = "bn-recalibrate",
    checkpoint: str = "shipped",
    seed: int = 0,
    device: str = "cpu",
    plugins: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> list[Tuned]:
    """The highest sparsity within ``tolerance`` for each strategy.

    Args:
        tolerance: largest mean loss, a share of the dense quality: .1 lets what is lower the better rise by a tenth.
        metric: one of those that the task's gate tests; None: the one that trainings are watched by.
        folds: disjoint parts of the training images, each with inputs of its own.
        num_images: generated images in each fold.

    Raises:
        Mistakes: everything that is wrong with the arguments, at once.
    """
    shop = Workshop(Settings(num_images=num_images, device=device, plugins=plugins))
    _check_arguments(workload, strategies, tolerance, metric, folds, num_images, recovery, seed)
    with one_thread():
        loaded = shop.load(workload, checkpoint)
        cell = Cell(
            workload=workload,
            checkpoint=checkpoint,
            strategy=DENSE,
            level={"sparsity": 0.0},
            recovery=recovery,
            seed=seed,
        )
        quantity = loaded.task.quantity(metric or loaded.task.watched)
        judges = Folded(loaded.judge.folds(folds, num_images, seed, quantity.name), quantity)
        dense = judges.losses(make(shop.resolve(cell), shop, watch=False).recovered.generator)
        return [_tune_one(name, cell, shop, judges, dense, tolerance, progress) for name in strategies]


@dataclass(frozen=True)
class Folded:
    """Folds, and the quantity that is lost in them."""

    folds: Folds
    quantity: Quantity

    def losses(self, generator: nn.Module) -> tuple[float, ...] | None:
        """The quantity in each fold on its scale, lower is better. None: the output is not finite."""
        values = self.folds.values(generator)
        sign = -1 if self.quantity.direction == "higher" else 1
        return None if values is None else tuple(sign * self.quantity.on_scale(value) for value in values)


def _check_arguments(
    workload: str,
    strategies: Sequence[str],
    tolerance: float,
    metric: str | None,
    folds: int,
    num_images: int,
    recovery: str,
    seed: int,
) -> None:
    mistakes = []
    try:
        BUILT_IN[workload]
    except UnknownName as error:
        mistakes.append(str(error))
    for name in strategies:
        try:
            STRATEGIES[name]
        except UnknownName as error:
            mistakes.append(f"--strategy: {error}")
    try:
        asked_recovery(recovery)
    except ValueError as error:
        mistakes.append(f"--recovery: {error}")
    if not 1e-9 <= tolerance < math.inf:
        mistakes.append(f"--tolerance {tolerance:g}: expected a share of the dense quality above 0, such as 0.1.")
    tasks = [BUILT_IN[workload].task] if workload in BUILT_IN else list(TASKS)
    known = list(dict.fromkeys(name for task in tasks for name in TASKS[task].gated))
    if metric is not None and metric not in known:
        mistakes.append(f"--metric {metric}: expected {' or '.join(known)}.")
    if folds < 2:
        mistakes.append(f"--folds {folds}: at least 2 are needed.")
    if num_images < 2:
        mistakes.append(f"--num-images {num_images}: at least 2 are needed.")
    for option, value, most in (
        ("--folds", folds, MOST_FOLDS),
        ("--num-images", num_images, MOST_IMAGES),
        ("--seed", seed, SEEDS),
    ):
        if value > most:
            mistakes.append(f"{option} {value}: at most {most:,}.")
    if mistakes:
        raise Mistakes(mistakes, "nothing was tuned")


def _tune_one(
    name: str,
    dense_cell: Cell,
    shop: Workshop,
    judges: Folded,
    dense: tuple[float, ...] | None,
    tolerance: float,
    progress: Callable[[str], None],
) -> Tuned:
    if dense is None:
        return Tuned(name, "not applicable", "the dense generator's output is not finite")
    if not STRATEGIES[name].levels.continuous:
        return Tuned(name, "not applicable", "it cannot be asked for a sparsity")
    looked: dict[float, Loss] = {}

    def loss(sparsity: float) -> Loss:
        if sparsity not in looked:
            progress(f"{name} at {sparsity:.2f}")
            cell = dense_cell.model_copy(update={"strategy": name, "level": {"sparsity": sparsity}})
            made = make(shop.resolve(cell), shop, watch=False).recovered
            found = judges.losses(made.generator)
            assert made.pruned is not None
            achieved = 1 - sum(cut.kept for cut in made.pruned.layers) / sum(cut.weights for cut in made.pruned.layers)
            folds = (
                tuple(f - d for f, d in zip(found, dense, strict=True)) if found else (math.inf,) * judges.folds.count
            )
            looked[sparsity] = Loss(sparsity, achieved, folds)
        return looked[sparsity]

    holds, breaks = None, None
    try:
        for sparsity in GRID:
            if loss(sparsity).mean > tolerance:
                breaks = sparsity
                break
            holds = sparsity
        while breaks is not None and breaks - (holds or 0.0) > RESOLUTION * 1.5:
            middle = round((breaks + (holds or 0.0)) / 2, 2)
            if loss(middle).mean > tolerance:
                breaks = middle
            else:
                holds = middle
    except NotApplicable as error:
        return Tuned(name, "not applicable", str(error))
    except Infeasible:
        pass  # what can be reached holds
    found = tuple(looked[sparsity] for sparsity in sorted(looked))
    near = [looked[s] for s in (holds, breaks) if s is not None and math.isfinite(looked[s].mean)]
    noise = max((one.noise for one in near), default=0.0)
    if tolerance < 2 * noise:
        return Tuned(
            name,
            "cannot be resolved",
            f"tolerance {tolerance:g} is below twice the folds' noise ({noise:.3f}): take more images or a larger one",
            looked_at=found,
        )
    if holds is None:
        return Tuned(name, "none", f"even {found[0].sparsity:g} loses {found[0].mean:.3f}", looked_at=found)
    return Tuned(name, "found", "", looked[holds], _held_out(found, tolerance), found)


def _held_out(found: Sequence[Loss], tolerance: float) -> float | None:
    """Each fold in turn is left out, the highest sparsity chosen on the others, and the loss in it taken."""
    losses = np.array([one.folds for one in found])
    seen = []
    for fold in range(losses.shape[1]):
        others = np.delete(losses, fold, axis=1).mean(1)
        within = 0
        while within < len(others) and others[within] <= tolerance:
            within += 1
        if within:
            seen.append(losses[within - 1, fold])
    return float(np.mean(seen)) if seen else None
