"""Carrying out a recovery.

Recovery owns the training: its length, its data, D, and what G learns from. A strategy that prunes while training is
called back by its hooks, so whatever the schedule, the cells of one table see the same steps, images and order.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from bench.base.errors import UserError
from bench.records import CurvePoint
from bench.records.store import writable
from bench.training.diary import Diary
from bench.training.loop import StepStats
from bench.training.recovery.compensation import compensated
from bench.training.recovery.course import Course, begin
from bench.training.recovery.finish import finished
from bench.training.recovery.spec import Recovery
from bench.training.recovery.start import Scheduled, Start
from bench.training.resume import load_training, save_training
from bench.workloads.loaded import Gan
from strategies.base import Diverged, NotApplicable, Pruned

SAVE_SECONDS = 60.0
"""An unfinished training is saved about so often, where it is given a place."""

Watch = Callable[[int, nn.Module, Sequence[StepStats]], CurvePoint]
"""Is given the steps done so far, the generator as it would be if the training ended here (a copy), and what the
steps since the last call measured; returns a point of the learning curve."""

WATCHED = 10
"""A training is looked at before its first step and so many times from there to its last."""


@dataclass(frozen=True)
class Recovered:
    """The network to be measured, what was removed from it, and what the training took."""

    generator: nn.Module
    pruned: Pruned | None
    """None: dense."""
    curve: tuple[StepStats, ...] = ()
    """What every step measured, D's density and balance among it."""
    points: tuple[CurvePoint, ...] = ()
    """What was seen of G at a few steps; empty where nobody watched."""
    images: int = 0
    """Training images shown; without adversarial loss there are none."""
    discriminator: nn.Module | None = None
    """D as the training left it; None: no D was trained against."""
    watch_seconds: float = 0.0
    earlier_seconds: float = 0.0
    """Spent by interrupted processes that this training was continued from, watching included."""


def watched_steps(steps: int) -> list[int]:
    """The steps after which a training of ``steps`` is looked at: evenly spaced, 0 and the last among them."""
    return sorted({round(i * steps / WATCHED) for i in range(WATCHED + 1)})


def recover(
    recovery: Recovery,
    gan: Gan,
    start: Start = None,
    *,
    seed: int,
    watch: Watch | None = None,
    scratch: Path | None = None,
) -> Recovered:
    """Recover a network that is pruned already, the dense one, or one that is pruned on the way.

    Training starts from the given (averaged) weights with fresh optimizers and a copy of the shipped D; the
    result is the moving average. It is the same to the last bit whether anyone watches or not, and whether it was
    interrupted or not. A training that loses its network before it could prune it ends there: what is returned
    has weights that are not finite, and counts as not pruned.

    Args:
        scratch: a folder of this training's own. Its state is saved there now and then, and a training that is found
            there is continued. Who called removes it. None: nothing is saved.

    Raises:
        NotApplicable: training without a discriminator, or a schedule without training steps.
    """
    _check(recovery, gan, start)
    if recovery.compensate and isinstance(start, Pruned):
        start = compensated(start, gan, seed)
    pruned = start if isinstance(start, Pruned) else None
    if not recovery.steps:
        network = copy.deepcopy(pruned.generator if pruned else gan.checkpoint.generator)
        return Recovered(finished(network, recovery, gan, seed), pruned)
    stops = watched_steps(recovery.steps) if watch else [recovery.steps]
    run = _continued(scratch, lambda: begin(recovery, gan, start, seed), stops if watch else [])
    run = run or _Run(begin(recovery, gan, start, seed), Diary(), scratch)
    training = run.course.training
    for before, stop in zip([0, *stops], stops, strict=False):
        if training.step_count > stop:
            continue
        if not run.until(stop):
            break
        if watch:
            looked = time.perf_counter()
            with torch.random.fork_rng():
                now = finished(copy.deepcopy(training.ema.model), recovery, gan, seed, passing=stop < stops[-1])
                run.diary.points.append(watch(stop, now, run.diary.stats[before:]))
            run.diary.watch_seconds += time.perf_counter() - looked
    generator = training.ema.model
    if run.course.pruning and not run.lost:
        assert run.course.pruning.pruned is not None  # the last event is within the steps
        pruned = replace(run.course.pruning.pruned, generator=generator)
    return Recovered(
        finished(generator, recovery, gan, seed),
        pruned,
        tuple(run.diary.stats),
        tuple(run.diary.points),
        recovery.steps * training.batch_size if recovery.adversarial else 0,
        training.discriminator.eval().requires_grad_(False) if recovery.adversarial else None,
        run.diary.watch_seconds,
        run.earlier,
    )


def _check(recovery: Recovery, gan: Gan, start: Start) -> None:
    if isinstance(start, Scheduled) and not recovery.steps:
        raise NotApplicable(
            f"{start.strategy.name} prunes while training; recovery {recovery.name!r} has no steps: use finetune-N"
        )
    if isinstance(start, Scheduled) and recovery.compensate:
        raise NotApplicable(f"{start.strategy.name} prunes while training; {recovery.name!r} compensates before it")
    if recovery.needs_discriminator and gan.checkpoint.discriminator is None:
        raise NotApplicable(f"recovery {recovery.name!r} needs a discriminator, {gan.workload.name} has none")
    if recovery.steps and recovery.adversarial:
        gan.workload.condition.check(gan.data.train_labels, gan.data.name)


@dataclass
class _Run:
    """A course that is under way: what it has shown, where it is saved, whether it has lost its network."""

    course: Course
    diary: Diary
    scratch: Path | None
    lost: bool = False
    begun: float = field(default_factory=time.perf_counter)
    saved: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.earlier = self.diary.seconds

    def until(self, step: int) -> bool:
        """Go on until ``step`` is done; False: the network is lost."""
        while self.course.training.step_count < step:
            try:
                self.diary.stats.append(self.course.step())
            except Diverged:
                self.lost = True
                return False
            self._save()
        return True

    def _save(self) -> None:
        if self.scratch is None or time.perf_counter() - self.saved < SAVE_SECONDS:
            return
        with writable(self.scratch):
            seconds = self.earlier + time.perf_counter() - self.begun
            save_training(self.scratch, self.course.training, self.diary.notes(seconds))
        self.saved = time.perf_counter()


def _continued(scratch: Path | None, fresh: Callable[[], Course], watched: Sequence[int]) -> _Run | None:
    """The training that was interrupted in ``scratch``; None: there is none that can be continued."""
    if scratch is None or not scratch.exists():
        return None
    course = fresh()
    try:
        found, notes = load_training(scratch, course.training)
    except UserError:  # damaged: the training starts anew
        return None
    if not found:
        return None
    diary = Diary.of(notes)
    # A training that nobody watched has no learning curve, and none can be made afterwards.
    missed = [p["step"] for p in diary.points] != [step for step in watched if step < course.training.step_count]
    return None if missed else _Run(course, diary, scratch)
