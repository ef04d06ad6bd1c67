"""What is done for a pruned network: nothing, BatchNorm recalibration, or training.

Recovery owns the training: its length, its data, D, and what G learns from. A strategy that prunes while training is
called back by its hooks, so whatever the schedule, the cells of one table see the same steps, images and order.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import nn

from bench.base.batchnorm import batchnorms, recalibrate
from bench.base.errors import UserError
from bench.base.layout import channels_last
from bench.base.seeds import Role, derive, stream
from bench.records.store import writable
from bench.training.balance import BalancedDiscriminator, BalanceRule
from bench.training.diary import Diary
from bench.training.distil import Distillation, Lesson
from bench.training.loop import GanTraining, StepStats
from bench.training.resume import load_training, save_training
from bench.training.sparse_d import EqualSparsity, FixedSparsity, SparseDiscriminator
from bench.workloads.base import Workload
from bench.workloads.checkpoints import Checkpoint
from bench.workloads.data import ImageData
from bench.workloads.generate import batches
from strategies.base import Context, Diverged, Kept, Level, NotApplicable, Pruned, Target
from strategies.hooks import Hooks, Pruning, together
from strategies.keeping import KeepHooks
from strategies.layers import named_weights
from strategies.strategy import Strategy

if TYPE_CHECKING:
    from bench.records import CurvePoint

CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 64

SAVE_SECONDS = 60.0
"""An unfinished training is saved about so often, where it is given a place."""

Fate = Literal["original", "frozen", "reset", "pruned", "sparse", "adapt"]

_FINETUNE = re.compile(
    r"finetune-(?P<steps>[1-9][0-9]*)"
    r"(-d\.((?P<fate>frozen|reset|pruned|adapt)|sparse(?P<sparsity>0\.[0-9]{0,3}[1-9])))?"
    r"(-distil\.(?P<lesson>output|feature|dfeature))?"
)
_DISTIL = re.compile(r"distil-(?P<steps>[1-9][0-9]*)-(?P<lesson>output|feature|dfeature)")

KNOWN = (
    "none, bn-recalibrate, finetune-N (N adversarial steps, such as finetune-200), distil-N-output, distil-N-feature, "
    "distil-N-dfeature (N steps towards the dense generator, without adversarial loss). finetune-N takes one of "
    "-d.frozen, -d.reset, -d.pruned, -d.adapt, -d.sparse0.5 (any sparsity of D), and then one of -distil.output, "
    "-distil.feature, -distil.dfeature: finetune-200-d.frozen-distil.output"
)


@dataclass(frozen=True)
class Recovery:
    """One way to recover. Its name is derived from it, and it from its name (`parse_recovery`)."""

    steps: int = 0
    discriminator: Fate = "original"
    """The shipped D goes on training (``original``) or only judges (``frozen``); D starts anew (``reset``); D is
    pruned to G's sparsity (``pruned``), to one of its own (``sparse``), or as the balance asks (``adapt``)."""
    calibrate: bool = True
    """Recompute BatchNorm statistics at the end, on the `calibrate` stream."""
    d_sparsity: float = 0.0
    """D's own sparsity, with at most four decimals (``sparse``)."""
    distil: Lesson | None = None
    """What G learns from the dense generator."""
    adversarial: bool = True
    """Whether G plays against D; without it, it only learns from the dense generator."""

    def __post_init__(self) -> None:
        sparse = self.discriminator == "sparse"
        if (
            sparse != (self.d_sparsity > 0)
            or not 0 <= self.d_sparsity < 1
            or round(self.d_sparsity, 4) != self.d_sparsity
        ):
            raise ValueError(
                f"d_sparsity {self.d_sparsity} with D {self.discriminator}: (0, 1), four decimals, sparse D"
            )
        if not self.steps and (self.discriminator != "original" or self.distil or not self.adversarial):
            raise ValueError("a recovery without steps trains nothing")
        if self.steps and not self.calibrate:
            raise ValueError("a training ends with recalibration")
        if not self.adversarial and (self.distil is None or self.discriminator != "original"):
            raise ValueError("without adversarial loss there is distillation, and no D")

    @property
    def name(self) -> str:
        if not self.steps:
            return "bn-recalibrate" if self.calibrate else "none"
        if not self.adversarial:
            return f"distil-{self.steps}-{self.distil}"
        fate = "" if self.discriminator == "original" else f"-d.{self.discriminator}"
        share = f"{self.d_sparsity:.4f}".rstrip("0") if self.d_sparsity else ""
        return f"finetune-{self.steps}{fate}{share}" + (f"-distil.{self.distil}" if self.distil else "")

    @property
    def needs_discriminator(self) -> bool:
        """Whether a workload without D cannot have it."""
        return bool(self.steps) and (self.adversarial or self.distil == "dfeature")

    def streams(self, generator: nn.Module) -> frozenset[Role]:
        """The random streams that it uses on ``generator``; without BatchNorm nothing is calibrated."""
        used: set[Role] = set()
        if self.steps:
            used.add("train")
        if self.calibrate and batchnorms(generator):
            used.add("calibrate")
        return frozenset(used)

    def training_macs(self, generator: int, discriminator: int, batch: int) -> int:
        """MACs of the whole training from those of one image through G and D; a backward pass counts as two forward.

        G runs once forward and backward. Against it, D does so three times (real, generated, generated for G); a
        frozen D has no backward pass in the first two. A teacher runs forward, the D that compares features forward
        on the dense images, forward and backward on the others. A balance takes G once and D three times, forward.
        """
        g, d = 3 * generator, 0
        if self.adversarial:
            d += 3 + 2 * (1 if self.discriminator == "frozen" else 3)
        if self.distil:
            g += generator
            d += 4 if self.distil == "dfeature" else 0
        macs = self.steps * (g + d * discriminator)
        if self.discriminator == "adapt":
            _, spacing = BalanceRule().rhythm(self.steps)
            macs += len(range(0, self.steps, spacing)) * (generator + 3 * discriminator)
        return macs * batch


def parse_recovery(name: str) -> Recovery:
    """The recovery of that name, such as ``finetune-200-d.frozen-distil.output``. Raises ValueError."""
    if name == "none":
        return Recovery(calibrate=False)
    if name == "bn-recalibrate":
        return Recovery()
    if match := _FINETUNE.fullmatch(name):
        sparsity = float(match["sparsity"] or 0)
        fate = "sparse" if sparsity else match["fate"] or "original"
        return Recovery(int(match["steps"]), _fate(fate), d_sparsity=sparsity, distil=_lesson(match["lesson"]))
    if match := _DISTIL.fullmatch(name):
        return Recovery(int(match["steps"]), distil=_lesson(match["lesson"]), adversarial=False)
    raise ValueError(f"no recovery {name!r}. Known: {KNOWN}.")


def _fate(name: str) -> Fate:
    return next(fate for fate in get_args(Fate) if fate == name)


def _lesson(name: str | None) -> Lesson | None:
    return next((lesson for lesson in get_args(Lesson) if lesson == name), None)


Watch = Callable[[int, nn.Module, Sequence[StepStats]], "CurvePoint"]
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


@dataclass(frozen=True)
class _Course:
    """A training and those of its hooks that are asked for what they did."""

    training: GanTraining
    pruning: Pruning | None
    sparse: SparseDiscriminator | None

    def step(self) -> StepStats:
        """One step, and how sparse D is after it."""
        stats = self.training.step()
        if self.sparse is None:
            return stats
        ratio = self.sparse.ratio if isinstance(self.sparse, BalancedDiscriminator) else None
        return replace(stats, d_density=self.sparse.density, balance=ratio)


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
    scratch: Path | None = None,
) -> Recovered:
    """Recover an already pruned network, a dense one (``pruned`` None), or one that ``scheduled`` prunes on the way.

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
    if scheduled and not recovery.steps:
        raise NotApplicable(
            f"{scheduled[0].name} prunes while training; recovery {recovery.name!r} has no steps: use finetune-N"
        )
    if recovery.needs_discriminator and checkpoint.discriminator is None:
        raise NotApplicable(f"recovery {recovery.name!r} needs a discriminator, {workload.name} has none")
    if recovery.steps and recovery.adversarial:
        workload.condition.check(data.train_labels, data.name)
    if not recovery.steps:
        start = copy.deepcopy(pruned.generator if pruned else checkpoint.generator)
        return Recovered(finished(start, recovery, workload, seed, device), pruned)

    def begin() -> _Course:
        return _course(recovery, workload, checkpoint, data, seed, pruned, scheduled, device)

    def look(step: int, since: Sequence[StepStats]) -> CurvePoint:
        assert watch is not None
        with torch.random.fork_rng():
            now = copy.deepcopy(course.training.ema.model)
            return watch(step, finished(now, recovery, workload, seed, device), since)

    stops = watched_steps(recovery.steps) if watch else [recovery.steps]
    course, diary = _continued(scratch, begin, stops if watch else []) or (begin(), Diary())
    begun = saved = time.perf_counter()
    training, earlier, lost = course.training, diary.seconds, False
    for before, stop in zip([0, *stops], stops, strict=False):
        if training.step_count > stop:
            continue
        while training.step_count < stop:
            try:
                diary.stats.append(course.step())
            except Diverged:
                lost = True
                break
            if scratch and time.perf_counter() - saved >= SAVE_SECONDS:
                with writable(scratch):
                    save_training(scratch, training, diary.notes(earlier + time.perf_counter() - begun))
                saved = time.perf_counter()
        if lost:
            break
        if watch:
            looked = time.perf_counter()
            diary.points.append(look(stop, diary.stats[before:]))
            diary.watch_seconds += time.perf_counter() - looked
    generator = training.ema.model
    if course.pruning and not lost:
        assert course.pruning.pruned is not None  # the last event is within the steps
        pruned = replace(course.pruning.pruned, generator=generator)
    return Recovered(
        finished(generator, recovery, workload, seed, device),
        pruned,
        tuple(diary.stats),
        tuple(diary.points),
        recovery.steps * training.batch_size if recovery.adversarial else 0,
        training.discriminator.eval().requires_grad_(False) if recovery.adversarial else None,
        diary.watch_seconds,
        earlier,
    )


def _course(
    recovery: Recovery,
    workload: Workload,
    checkpoint: Checkpoint,
    data: ImageData,
    seed: int,
    pruned: Pruned | None,
    scheduled: tuple[Strategy, Context, Level, Target] | None,
    device: torch.device | str,
) -> _Course:
    """The training at its first step."""
    pruning: Pruning | None = None
    if scheduled:
        strategy, context, level, target = scheduled
        assert strategy.schedule is not None
        # A copy of its stream: a training that begins twice draws the same both times.
        rng = torch.Generator(context.rng.device)
        rng.set_state(context.rng.get_state())
        pruning = strategy.schedule.hooks(strategy, replace(context, rng=rng), level, target, recovery.steps)
    holding: Hooks | None = pruning
    if pruning is None and pruned and (pruned.masks or pruned.tied):
        holding = KeepHooks(pruned)

    def kept() -> Kept:
        now = pruning.pruned if pruning else pruned
        return now.kept if now else {}

    sparse = _sparse_discriminator(recovery, workload, checkpoint, data, seed)
    distillation = None
    if recovery.distil:
        judge = checkpoint.discriminator if recovery.distil == "dfeature" else None
        distillation = Distillation(
            recovery.distil,
            _placed(checkpoint.generator, device),
            judge=_placed(judge, device) if judge else None,
            condition=workload.condition,
            kept=kept,
        )
    start = pruned.generator if pruned else checkpoint.generator
    training = GanTraining(
        copy.deepcopy(start).requires_grad_(True),
        _discriminator(recovery, workload, checkpoint, seed) if recovery.adversarial else None,
        replace(workload.recipe.spec, lr_decay="none"),
        images=data.train,
        sample=workload.inputs.sample,
        steps=recovery.steps,
        seed=seed,
        device=device,
        hooks=together(holding, sparse, distillation),
        train_discriminator=recovery.discriminator != "frozen",
        condition=workload.condition,
        labels=data.train_labels,
    )
    return _Course(training, pruning, sparse)


def _placed(model: nn.Module, device: torch.device | str) -> nn.Module:
    """A copy on the device. Convolutions run a fifth faster in this layout; the values are the same."""
    return channels_last(copy.deepcopy(model).to(device))


def _discriminator(recovery: Recovery, workload: Workload, checkpoint: Checkpoint, seed: int) -> nn.Module:
    """The D that the training starts with: a copy of the shipped one, or a fresh one of the seed's `train` stream."""
    if recovery.discriminator != "reset":
        return copy.deepcopy(checkpoint.discriminator).requires_grad_(True)  # type: ignore[union-attr]
    if workload.discriminator is None:
        raise NotApplicable(f"recovery {recovery.name!r} makes a new discriminator, {workload.name} cannot make one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "train", "d-reset"))
        return workload.discriminator()


def _sparse_discriminator(
    recovery: Recovery, workload: Workload, checkpoint: Checkpoint, data: ImageData, seed: int
) -> SparseDiscriminator | None:
    if recovery.discriminator == "sparse":
        return FixedSparsity(recovery.d_sparsity)
    if recovery.discriminator == "pruned":
        return EqualSparsity(sum(weight.numel() for _, weight in named_weights(checkpoint.generator)))
    if recovery.discriminator == "adapt":
        return BalancedDiscriminator(
            data.train, recovery.steps, seed, condition=workload.condition, labels=data.train_labels
        )
    return None


def _continued(
    scratch: Path | None, begin: Callable[[], _Course], watched: Sequence[int]
) -> tuple[_Course, Diary] | None:
    """The training that was interrupted in ``scratch``; None: there is none that can be continued."""
    if scratch is None or not scratch.exists():
        return None
    course = begin()
    try:
        found, notes = load_training(scratch, course.training)
    except UserError:  # damaged: the training starts anew
        return None
    if not found:
        return None
    diary = Diary.of(notes)
    # A training that nobody watched has no learning curve, and none can be made afterwards.
    missed = [p["step"] for p in diary.points] != [step for step in watched if step < course.training.step_count]
    return None if missed else (course, diary)


def finished(
    generator: nn.Module, recovery: Recovery, workload: Workload, seed: int, device: torch.device | str
) -> nn.Module:
    """``generator``, changed in place, as it is measured: on the device, calibrated, in eval mode."""
    generator = channels_last(generator.to(device))  # faster, see `_placed`
    if recovery.calibrate:
        inputs = workload.inputs.sample(CALIBRATION_IMAGES, stream(seed, "calibrate"))
        recalibrate(generator, batches(inputs, CALIBRATION_BATCH, device))
    return generator.eval().requires_grad_(False)
