"""What is done for a pruned network: nothing, BatchNorm recalibration, or training against D.

Recovery owns the training: its length, its data and D. A strategy that prunes while training is called back by
its hooks, so whatever the schedule, the cells of one table see the same steps, images and order.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from bench.measure.generate import batches
from bench.seeds import Role, stream
from bench.training.batchnorm import batchnorms, recalibrate
from bench.training.loop import GanTraining, StepStats
from bench.workloads.base import Workload
from bench.workloads.checkpoints import Checkpoint
from bench.workloads.data import ImageData
from strategies.base import Context, Level, NotApplicable, Pruned, Strategy, Target
from strategies.hooks import Hooks, NoHooks
from strategies.schedules import MaskHooks, PruningHooks

CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 64

_FINETUNE = re.compile(r"finetune-([1-9][0-9]*)(-d\.frozen)?")


@dataclass(frozen=True)
class Recovery:
    """One way to recover. Its name is derived from it, and it from its name (`parse_recovery`)."""

    steps: int = 0
    discriminator: Literal["original", "frozen"] = "original"
    """``original``: the shipped D goes on training; ``frozen``: it only judges."""
    calibrate: bool = True
    """Recompute BatchNorm statistics at the end, on the `calibrate` stream."""

    @property
    def name(self) -> str:
        if self.steps:
            return f"finetune-{self.steps}" + ("-d.frozen" if self.discriminator == "frozen" else "")
        return "bn-recalibrate" if self.calibrate else "none"

    def streams(self, generator: nn.Module) -> frozenset[Role]:
        """The random streams that it uses on ``generator``; without BatchNorm nothing is calibrated."""
        used: set[Role] = set()
        if self.steps:
            used.add("train")
        if self.calibrate and batchnorms(generator):
            used.add("calibrate")
        return frozenset(used)


def parse_recovery(name: str) -> Recovery:
    """``none``, ``bn-recalibrate``, ``finetune-200``, ``finetune-200-d.frozen``. Raises ValueError."""
    if name == "none":
        return Recovery(calibrate=False)
    if name == "bn-recalibrate":
        return Recovery()
    if match := _FINETUNE.fullmatch(name):
        return Recovery(int(match[1]), "frozen" if match[2] else "original")
    raise ValueError(
        f"no recovery {name!r}. Known: none, bn-recalibrate, finetune-N (N adversarial steps, such as "
        "finetune-200), finetune-N-d.frozen."
    )


Watch = Callable[[int, nn.Module, Sequence[StepStats]], None]
"""Is given the steps done so far, the generator as it would be if the training ended here (a copy), and what the
steps since the last call measured."""

WATCHED = 10
"""A training is looked at before its first step and so many times from there to its last."""


@dataclass(frozen=True)
class Recovered:
    """The network to be measured, what was removed from it, and what the training took."""

    generator: nn.Module
    pruned: Pruned | None
    """None: dense."""
    curve: tuple[StepStats, ...] = ()
    images: int = 0
    discriminator: nn.Module | None = None
    """D as the training left it; None: nothing was trained."""
    watch_seconds: float = 0.0


def watched_steps(steps: int) -> list[int]:
    """The steps after which a training of ``steps`` is looked at: evenly spaced, 0 and the last among them."""
    return sorted({round(i * steps / WATCHED) for i in range(WATCHED + 1)})


def recover(
    recovery: Recovery,
    workload: Workload,
    checkpoint: Checkpoint,
    data: ImageData,
    *,
    seed: int,
    pruned: Pruned | None = None,
    scheduled: tuple[Strategy, Context, Level, Target] | None = None,
    device: torch.device | str = "cpu",
    watch: Watch | None = None,
) -> Recovered:
    """Recover an already pruned network, a dense one (``pruned`` None), or one that ``scheduled`` prunes on the way.

    Training starts from the given (averaged) weights with fresh optimizers and a copy of the shipped D; the
    result is the moving average. It is the same to the last bit whether anyone watches or not.

    Raises:
        NotApplicable: training without a discriminator, or a schedule without training steps.
    """
    start = pruned.generator if pruned else checkpoint.generator
    generator = copy.deepcopy(start)
    stats: list[StepStats] = []
    images = 0
    discriminator: nn.Module | None = None
    watch_seconds = 0.0
    if scheduled and not recovery.steps:
        raise NotApplicable(
            f"{scheduled[0].name} prunes while training; recovery {recovery.name!r} has no steps: use finetune-N"
        )
    if recovery.steps:
        if checkpoint.discriminator is None:
            raise NotApplicable(f"recovery {recovery.name!r} needs a discriminator, {workload.name} has none")
        hooks: Hooks = NoHooks()
        if scheduled:
            hooks = PruningHooks(*scheduled, recovery.steps)
        elif pruned and pruned.masks:
            hooks = MaskHooks(pruned.masks)
        training = GanTraining(
            generator.requires_grad_(True),
            copy.deepcopy(checkpoint.discriminator).requires_grad_(True),
            replace(workload.recipe.spec, lr_decay="none"),
            images=data.train,
            sample=workload.inputs.sample,
            steps=recovery.steps,
            seed=seed,
            device=device,
            hooks=hooks,
            train_discriminator=recovery.discriminator == "original",
        )
        seen = 0
        for step in watched_steps(recovery.steps) if watch else [recovery.steps]:
            while training.step_count < step:
                stats.append(training.step())
            if watch:
                before = time.perf_counter()
                with torch.random.fork_rng():
                    now = copy.deepcopy(training.ema.model)
                    watch(step, finished(now, recovery, workload, seed, device), stats[seen:])
                seen = len(stats)
                watch_seconds += time.perf_counter() - before
        discriminator = training.discriminator.eval().requires_grad_(False)
        images = recovery.steps * min(workload.recipe.spec.batch_size, len(data.train))
        generator = training.ema.model
        if isinstance(hooks, PruningHooks):
            assert hooks.pruned is not None  # the last event is within the steps
            pruned = replace(hooks.pruned, generator=generator)
    generator = finished(generator, recovery, workload, seed, device)
    return Recovered(generator, pruned, tuple(stats), images, discriminator, watch_seconds)


def finished(
    generator: nn.Module, recovery: Recovery, workload: Workload, seed: int, device: torch.device | str
) -> nn.Module:
    """``generator``, changed in place, as it is measured: on the device, calibrated, in eval mode."""
    # Convolutions run a fifth faster in this layout; the values are the same.
    generator = generator.to(device).to(memory_format=torch.channels_last)
    if recovery.calibrate:
        inputs = workload.inputs.sample(CALIBRATION_IMAGES, stream(seed, "calibrate"))
        recalibrate(generator, batches(inputs, CALIBRATION_BATCH, device))
    return generator.eval().requires_grad_(False)
