"""What a latency backend is: one way of running a network, and what must hold before it is timed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from bench.artifact.outputs import FLOAT32

Inputs: TypeAlias = tuple[Tensor, ...]
Call = Callable[[], object]
"""One forward pass; gives what the network makes, as tensors or arrays, alone or in containers."""
Prepare = Callable[[nn.Module, Inputs], Call]
"""Makes of a network (a copy, in eval mode, its own to change) and its inputs what is timed.

Raises `NotApplicable` for a network that the backend does nothing for."""


def _nothing() -> None:
    pass


def _everywhere(device: torch.device) -> str:
    return ""


@dataclass(frozen=True)
class Backend:
    """One way of running a network. Both members of a pair go through the same one, unless `prepare_dense` is given."""

    name: str
    """As in an experiment file and in a record."""
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
    private_memory: bool = False
    """Whether a call works in memory that was set aside before, so that its peak cannot be seen."""
    begin: Callable[[], None] = _nothing
    """Called before a pair is prepared, each time."""


def lacks(*modules: str, extra: str, device: torch.device) -> str:
    """Why a backend of other packages cannot run here: a package that is not installed, or a device but the CPU."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed: pip install 'ganprune[{extra}]'"
    return "" if device.type == "cpu" else f"it runs on the CPU here, not on {device.type}"


def replace_module(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put ``new``, in place, where ``model`` has the module ``name``."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)
