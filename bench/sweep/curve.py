"""How quality comes back while a pruned generator trains: FID at a few steps, and when it is that of dense again."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from bench.base.seeds import stream
from bench.records import Cell, CurvePoint, Number
from bench.sweep.workshop import Loaded, Workshop
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.quality import judge
from bench.training.loop import StepStats
from bench.training.recovery import Recovery, finished, parse_recovery
from bench.workloads.generate import generate

CURVE_IMAGES = 500
"""FID along the way is of the images of the first so many evaluation inputs."""

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
            fid=self.fid(generator),
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

    def fid(self, generator: nn.Module) -> float | None:
        """FID on the inputs; None where the output is not finite."""
        images, finite = generate(generator, self.inputs, device=self.loaded.device)
        judged = judge(self.loaded.extractor, images, self.loaded.device)
        return frechet_distance(self.loaded.reference.train, judged.gaussian) if finite else None


def recorder(cell: Cell, shop: Workshop) -> CurveRecorder:
    """A recorder for one training of ``cell``."""
    loaded = shop.load(cell.workload, cell.checkpoint)
    inputs = loaded.workload.inputs.sample(shop.settings.num_images, stream(cell.seed, "eval"))
    return CurveRecorder(loaded, tuple(x[:CURVE_IMAGES] for x in inputs))


def steps_to_dense(
    cell: Cell, watcher: CurveRecorder, points: Sequence[CurvePoint], shop: Workshop
) -> dict[str, Number]:
    """The first step that was looked at with an FID no higher than that of the dense generator before any training.

    Both on the same inputs and with BatchNorm recalibrated alike. Dense itself has nothing to regain, and a
    network that is pruned while it trains has not before its last pruning event.
    """
    strategy = shop.strategy(cell.strategy)
    if not points or strategy is None:
        return {}
    loaded, recovery = watcher.loaded, parse_recovery(cell.recovery)
    key = f"dense-fid/{cell.workload}/{cell.checkpoint}/{cell.recovery}/{cell.seed}"

    def dense_fid() -> float | None:
        dense = copy.deepcopy(loaded.checkpoint.generator)
        return watcher.fid(finished(dense, recovery, loaded.workload, cell.seed, loaded.device))

    pruned_from = strategy.schedule.last_event(recovery.steps) + 1 if strategy.schedule else 0
    step = first_at([p for p in points if p["step"] >= pruned_from], shop.once(key, dense_fid))
    terms = shop.terms(cell.workload, cell.checkpoint)
    return {
        f"steps_to_dense[{loaded.extractor.name}]": Number(
            value=step,
            unit="training steps",
            direction="lower",
            kind="stochastic",
            version=f"{CURVE_VERSION}/{terms.judge}/ref-{terms.reference}",
            num_images=len(watcher.inputs[0]),
            note="" if step is not None else f"not within {points[-1]['step']} steps",
        )
    }


def first_at(points: Sequence[CurvePoint], dense: float | None) -> int | None:
    """The first step whose FID is ``dense`` or lower; None: there is none."""
    reached = (p["step"] for p in points if dense is not None and p["fid"] is not None and p["fid"] <= dense)
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
