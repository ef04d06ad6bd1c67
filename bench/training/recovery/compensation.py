"""Compensation of a pruned network: latents of the seed's `calibrate` stream, nothing else."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import Tensor, nn

from bench.base.batchnorm import recalibrate
from bench.base.seeds import stream
from bench.training.recovery.finish import CALIBRATION_BATCH
from bench.workloads.generate import batches
from bench.workloads.loaded import Gan
from strategies.baking import plain
from strategies.base import Pruned
from strategies.compensation import compensate

STATISTICS = 128
"""Latents that BatchNorm is recalibrated on after each layer's fit; what is measured is calibrated anew at the end."""


def compensated(pruned: Pruned, gan: Gan, seed: int) -> Pruned:
    """``pruned`` with its layers fitted to those of the dense generator (`strategies.compensation`); a copy."""
    stated = stream(seed, "calibrate", "compensate")

    def draw(count: int) -> tuple[Tensor, ...]:
        return tuple(x.to(gan.device) for x in gan.workload.inputs.sample(count, stated))

    statistics = draw(STATISTICS)

    def settle(model: nn.Module) -> None:
        recalibrate(model, batches(statistics, CALIBRATION_BATCH, gan.device))

    dense = copy.deepcopy(plain(gan.checkpoint.generator)).to(gan.device).eval().requires_grad_(False)
    network = copy.deepcopy(pruned.generator).to(gan.device).eval().requires_grad_(False)
    found = replace(pruned, generator=network)
    compensate(dense, found, draw, settle)
    return found
