"""A workload as it is in memory: its networks with their weights, its images."""

from __future__ import annotations

from dataclasses import dataclass

from bench.workloads.base import Workload
from bench.workloads.checkpoints import Checkpoint
from bench.workloads.data import ImageData


@dataclass(frozen=True)
class Gan:
    """One trained GAN, and where it runs."""

    workload: Workload
    checkpoint: Checkpoint
    data: ImageData
    device: str = "cpu"
