"""What is done for a pruned network, as a value with a name: nothing, recalibration, compensation, training."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

from torch import nn

from bench.base.batchnorm import batchnorms
from bench.base.seeds import Role
from bench.training.balance import BalanceRule
from bench.training.distil import Lesson

Fate = Literal["original", "frozen", "reset", "pruned", "sparse", "adapt"]

_FINETUNE = re.compile(
    r"finetune-(?P<steps>[1-9][0-9]*)"
    r"(-d\.((?P<fate>frozen|reset|pruned|adapt)|sparse(?P<sparsity>0\.[0-9]{0,3}[1-9])))?"
    r"(-distil\.(?P<lesson>output|feature|dfeature))?"
)
_DISTIL = re.compile(r"distil-(?P<steps>[1-9][0-9]*)-(?P<lesson>output|feature|dfeature)")

COMPENSATE = "compensate"

KNOWN = (
    "none, bn-recalibrate, compensate (each layer fitted anew to what dense puts out), "
    "finetune-N (N adversarial steps, such as finetune-200), distil-N-output, distil-N-feature, "
    "distil-N-dfeature (N steps towards the dense generator, without adversarial loss). finetune-N takes one of "
    "-d.frozen, -d.reset, -d.pruned, -d.adapt, -d.sparse0.5 (any sparsity of D), and then one of -distil.output, "
    "-distil.feature, -distil.dfeature: finetune-200-d.frozen-distil.output. A training may begin compensated: "
    "compensate-finetune-200, compensate-distil-200-output"
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
    compensate: bool = False
    """Fit the layers of what was pruned to those of dense (`strategies.compensation`), before any training."""

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
        if (self.steps or self.compensate) and not self.calibrate:
            raise ValueError("a training or a compensation ends with recalibration")
        if not self.adversarial and (self.distil is None or self.discriminator != "original"):
            raise ValueError("without adversarial loss there is distillation, and no D")

    @property
    def name(self) -> str:
        if self.compensate:
            return f"{COMPENSATE}-{replace(self, compensate=False).name}" if self.steps else COMPENSATE
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

    def streams(self, generator: nn.Module, *, pruned: bool = True) -> frozenset[Role]:
        """The random streams that it uses on ``generator``; without BatchNorm nothing is calibrated, of a dense
        network (not ``pruned``) nothing compensated."""
        used: set[Role] = set()
        if self.steps:
            used.add("train")
        if (self.calibrate and batchnorms(generator)) or (self.compensate and pruned):
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
    if name == COMPENSATE:
        return Recovery(compensate=True)
    if name.startswith(f"{COMPENSATE}-"):
        training = parse_recovery(name.removeprefix(f"{COMPENSATE}-"))
        if training.steps and not training.compensate:
            return replace(training, compensate=True)
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
