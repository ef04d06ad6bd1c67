"""How quality comes back while a pruned generator trains: the leading number at a few steps, and when it is dense's."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from bench.records import CurvePoint, Number
from bench.sweep.resolved import Loaded, ResolvedCell
from bench.sweep.workshop import Workshop
from bench.tasks import Quantity
from bench.training.loop import StepStats
from bench.training.recovery import Recovery
from bench.training.recovery.finish import finished

CURVE_OUTPUTS = 500
"""Quality along the way is that of the outputs of the first so many evaluation inputs."""

CURVE_VERSION = "first-watched-step-2"


@dataclass
class CurveRecorder:
    """Watches one training for `recover`. It draws nothing: its inputs are the first of the evaluation's."""

    loaded: Loaded
    inputs: tuple[Tensor, ...]

    def __call__(self, step: int, generator: nn.Module, since: Sequence[StepStats]) -> CurvePoint:
        """A point; ``since`` are the steps after the last one."""
        return CurvePoint(
            step=step,
            quality=self.quality(generator),
            loss_g=_mean([stats.loss_g for stats in since]),
            loss_d=_mean([stats.loss_d for stats in since]),
            loss_extra=_mean([stats.loss_extra for stats in since]),
            accuracy_real=_mean([stats.accuracy_real for stats in since]),
            accuracy_fake=_mean([stats.accuracy_fake for stats in since]),
            logit_real=_mean([stats.logit_real for stats in since]),
            logit_fake=_mean([stats.logit_fake for stats in since]),
            d_density=since[-1].d_density if since else None,
            balance=since[-1].balance if since else None,
        )

    def quality(self, generator: nn.Module) -> float | None:
        """The task's leading number on the inputs; None where the output is not finite."""
        return self.loaded.judge.leading(generator, self.inputs)


def recorder(todo: ResolvedCell, shop: Workshop) -> CurveRecorder | None:
    """A recorder for one training of the cell; None where there is none, or nothing that leads is asked for."""
    leading = todo.loaded.task.watched
    if not (todo.recovery.steps and shop.settings.curve and leading in shop.settings.metrics):
        return None
    return CurveRecorder(todo.loaded, tuple(x[:CURVE_OUTPUTS] for x in todo.loaded.judge.draw(todo.cell.seed)))


def steps_to_dense(
    todo: ResolvedCell, watcher: CurveRecorder, points: Sequence[CurvePoint], shop: Workshop
) -> dict[str, Number]:
    """The first step that was looked at with a quality no worse than that of the dense generator before any training.

    Both on the same inputs and with BatchNorm recalibrated alike. Dense itself has nothing to regain, and a
    network that is pruned while it trains has not before its last pruning event.
    """
    if not points or todo.strategy is None:
        return {}
    gan, recovery, seed = todo.gan, todo.recovery, todo.cell.seed

    def dense_quality() -> float | None:
        return watcher.quality(finished(copy.deepcopy(gan.checkpoint.generator), recovery, gan, seed, passing=True))

    key = ((gan.workload.name, gan.checkpoint.name), recovery.name, seed)
    dense = shop.dense_leading.get(key, dense_quality)
    schedule = todo.strategy.schedule
    pruned_from = schedule.last_event(recovery.steps) + 1 if schedule else 0
    step = first_at([p for p in points if p["step"] >= pruned_from], dense, todo.loaded.task.watching)
    judge = todo.loaded.judge
    return {
        f"steps_to_dense[{judge.name}]": Number(
            value=step,
            unit="training steps",
            direction="lower",
            kind="stochastic",
            version=f"{CURVE_VERSION}/{judge.terms}",
            num_images=len(watcher.inputs[0]),
            note="" if step is not None else f"not within {points[-1]['step']} steps",
        )
    }


def first_at(points: Sequence[CurvePoint], dense: float | None, leading: Quantity) -> int | None:
    """The first step whose quality is ``dense``'s or better; None: there is none."""
    if dense is None:
        return None
    sign = -1 if leading.direction == "higher" else 1
    reached = (p["step"] for p in points if p["quality"] is not None and sign * p["quality"] <= sign * dense)
    return next(reached, None)


D_DENSITY_VERSION = "kept-share-1"
BALANCE_VERSION = "balance-ratio-1"


def sparse_discriminator(recovery: Recovery, stats: Sequence[StepStats]) -> dict[str, Number]:
    """What is left of a D that was pruned as well, and the balance that it followed; empty for other recoveries."""
    if not stats or recovery.discriminator not in ("pruned", "sparse", "adapt"):
        return {}
    numbers = {"d-density": (stats[-1].d_density, "share of weights kept", D_DENSITY_VERSION)}
    if stats[-1].balance is not None:
        numbers["balance-ratio"] = (stats[-1].balance, "of the distance to real, in one step", BALANCE_VERSION)
    return {
        name: Number(value=value, unit=unit, direction="none", kind="stochastic", version=version)
        for name, (value, unit, version) in numbers.items()
    }


def _mean(values: Sequence[float]) -> float | None:
    """None without values, or where they are not finite."""
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None
