"""How a generator is measured, whatever was done for it: laid out, calibrated, in eval mode."""

from __future__ import annotations

from torch import nn

from bench.base.batchnorm import recalibrate
from bench.base.layout import channels_last
from bench.base.seeds import stream
from bench.training.recovery.spec import Recovery
from bench.workloads.generate import batches
from bench.workloads.loaded import Gan

CALIBRATION_IMAGES = 512
"""After pruning alone. How much they vary is part of the error of every number that names `calibrate`."""

TRAINED_IMAGES = 2048
"""After a training or a compensation, beside which they cost little; their draw adds a quarter of what 512 add."""

CALIBRATION_BATCH = 64


def finished(generator: nn.Module, recovery: Recovery, gan: Gan, seed: int, *, passing: bool = False) -> nn.Module:
    """``generator``, changed in place, as it is measured: on the device, calibrated, in eval mode.

    Args:
        passing: it is a point of a learning curve, and calibrated as after pruning alone.
    """
    generator = channels_last(generator.to(gan.device))  # faster, see `course._placed`
    if recovery.calibrate:
        count = TRAINED_IMAGES if (recovery.steps or recovery.compensate) and not passing else CALIBRATION_IMAGES
        inputs = gan.workload.inputs.sample(count, stream(seed, "calibrate"))
        recalibrate(generator, batches(inputs, CALIBRATION_BATCH, gan.device))
    return generator.eval().requires_grad_(False)
