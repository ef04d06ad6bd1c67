"""What a latency backend is: one way of running a network, and what must hold before it is timed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from strategies.layers import tensors_of

Inputs: TypeAlias = tuple[Tensor, ...]
Call = Callable[[], object]
"""One forward pass; gives what the network makes, as tensors or arrays, alone or in containers."""
Prepare = Callable[[nn.Module, Inputs], Call]
"""Makes of a network (a copy, in eval mode, its own to change) and its inputs what is timed.

Raises `NotApplicable` for a network that the backend does nothing for."""

FLOAT32 = 1e-4
"""Tolerance of backends that compute in float32, in another order or with other kernels."""


def _nothing() -> None:
    pass


def _everywhere(device: torch.device) -> str:
    return ""


@dataclass(frozen=True)
class Backend:
    """One way of running a network. Both members of a pair go through the same one, unless `prepare_dense` is given."""

    prepare: Prepare
    tolerance: float = FLOAT32
    """The largest difference from eager PyTorch in float32 that is still the same output, as a share of the largest
    absolute value of that output."""
    dtype: str = "float32"
    """The type in which the network computes."""
    prepare_dense: Prepare | None = None
    """How the dense member runs where the backend is for pruned networks only; None: like the pruned one."""
    dense_runs: str = ""
    """`prepare_dense` in words, for the record."""
    skips_zeros: bool = False
    """Whether zeros in a weight change the time, so that the architecture does not say it all."""
    missing: Callable[[torch.device], str] = _everywhere
    """What this machine lacks to run the backend on a device, in words; empty: nothing."""
    begin: Callable[[], None] = _nothing
    """Called once before a pair is prepared."""


def lacks(*modules: str, extra: str, device: torch.device) -> str:
    """Why a backend of other packages cannot run here: a package that is not installed, or a device but the CPU."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed: pip install 'ganprune[{extra}]'"
    return "" if device.type == "cpu" else f"it runs on the CPU here, not on {device.type}"


def difference(expected: object, found: object) -> float:
    """The largest absolute difference between two outputs as a share of the largest absolute value expected.

    Infinity where shapes or the places of values that are not finite differ.
    """
    ours, theirs = _tensors(expected), _tensors(found)
    if [x.shape for x in ours] != [x.shape for x in theirs]:
        return math.inf
    largest = distance = 0.0
    for a, b in zip(ours, theirs, strict=True):
        finite = torch.isfinite(a)
        if not torch.equal(finite, torch.isfinite(b)):
            return math.inf
        if finite.any():
            largest = max(largest, float(a[finite].abs().max()))
            distance = max(distance, float((a - b)[finite].abs().max()))
    return distance / largest if largest else (math.inf if distance else 0.0)


def _tensors(output: object) -> list[Tensor]:
    if isinstance(output, np.ndarray):
        output = torch.from_numpy(output)
    elif isinstance(output, list | tuple):
        output = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in output]
    return [x.detach().cpu().double() for x in tensors_of(output)]


def replace_module(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put ``new``, in place, where ``model`` has the module ``name``."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
