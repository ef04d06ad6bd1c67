"""What all tests on a GPU share. Without a CUDA device every one of them is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from bench.base.precision import tf32

DEVICE = os.environ.get("GANPRUNE_TEST_DEVICE", "cuda")
"""Another GPU, such as ``cuda:1``; ``cpu`` compares the CPU with itself, which tries out the tests alone."""


@pytest.fixture(autouse=True)
def device() -> Iterator[str]:
    """The device under test, with float32 products in full."""
    if DEVICE.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip(f"needs a CUDA device; torch {torch.__version__} sees none here")
    with tf32(False):
        yield DEVICE


@pytest.fixture
def cuda(device: str) -> str:
    """The device under test, for what only a GPU can do."""
    if not device.startswith("cuda"):
        pytest.skip("needs a CUDA device")
    return device
