"""Eager PyTorch with TF32 allowed, as PyTorch does by itself in convolutions on a GPU."""

from __future__ import annotations

import torch
from torch import nn

from bench.base.precision import use_tf32
from bench.measure.backends.base import Backend, Call, Inputs
from bench.measure.backends.eager import eager


def tf32(module: nn.Module, inputs: Inputs) -> Call:
    """The module operator by operator; the permission is this process's until somebody takes it back."""
    use_tf32(True)
    return eager(module, inputs)


def missing(device: torch.device) -> str:
    """Processors have no TF32, GPUs from compute capability 8 on."""
    if device.type != "cuda":
        return f"TF32 needs CUDA, not {device.type}"
    major, minor = torch.cuda.get_device_capability(device)
    return "" if major >= 8 else f"TF32 needs compute capability 8.0, this GPU has {major}.{minor}"


# TF32 has 11 bits of mantissa, as float16; rounding adds up over the layers.
TF32 = Backend("tf32", tf32, tolerance=0.02, dtype="tf32", missing=missing)
