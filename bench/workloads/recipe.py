"""How a GAN is trained: what the shipped weights were made by, and what recoveries go on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LossName = Literal["hinge", "non-saturating"]


@dataclass(frozen=True)
class TrainingSpec:
    """How G and D are trained against each other."""

    loss: LossName
    batch_size: int
    lr: float
    lr_discriminator: float | None = None
    """D's own learning rate; None: the same as G's."""
    betas: tuple[float, float] = (0.5, 0.99)
    fake_weight: float = 1.0
    """lambda of the generated images' term in D's loss."""
    ema_decay: float = 0.999
    lr_decay: Literal["none", "linear"] = "none"
    """``linear``: constant for the first half of the steps, then falling to zero."""
    shift: int = 0
    """D sees real and generated images moved by up to so many pixels, which keeps it from learning few images by
    heart (differentiable augmentation, Zhao et al. 2020; translation only)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False


@dataclass(frozen=True)
class Recipe:
    """How the shipped weights of a workload were, and can again be, trained."""

    spec: TrainingSpec
    steps: int
    rewind_share: float = 0.05
    """The `rewind` snapshot is taken after this share of the steps."""
