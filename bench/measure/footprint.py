"""How much room a generator takes: parameters, bytes on disk, memory while it runs."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from strategies.layers import place_of, prunable_layers

PARAMS_VERSION = "params-1"
BYTES_VERSION = "bytes-1"

FLOAT_BYTES = 4


@dataclass(frozen=True)
class LayerSize:
    """Entries of one layer's weight, and how many of them are not zero."""

    weights: int
    nonzero: int


@dataclass(frozen=True)
class Footprint:
    """Sizes of one network. A tensor that several modules share counts once."""

    params: int
    """Entries of all parameters, biases and norms included."""
    params_nonzero: int
    weights: int
    """Entries of the convolution and linear weights, the scope over which sparsity is counted."""
    weights_nonzero: int
    bytes_dense: int
    """Parameters and saved buffers: 4 bytes for each real number (fp32), integers and complex as they are."""
    bytes_bitmask: int
    """The same with each weight of the scope as a bitmask and its non-zeros, where that is smaller."""
    layers: Mapping[str, LayerSize]
    """Each layer of the scope by itself; a weight that several share stands with the first of them."""


def footprint(model: nn.Module) -> Footprint:
    """Count ``model``'s parameters and the bytes that it takes to store them.

    The bitmask form of a weight of n entries takes ``ceil(n / 8) + 4 x non-zeros`` bytes. No header is
    counted, nothing is rounded up to a file system's block. Only the scope's weights are stored so: a bias
    that happens to be zero is no result of pruning.
    """
    parameters = _unique(model.parameters())
    weight_of = {name: layer.weight for name, layer in prunable_layers(model).items()}
    weights = list(weight_of.values())
    stored = _unique(x for x in model.state_dict(keep_vars=True).values() if isinstance(x, Tensor))
    in_scope = {place_of(weight) for weight in weights}
    left = {place_of(x): nonzero(x) for x in _unique([*parameters, *weights])}  # every tensor is looked through once
    return Footprint(
        params=sum(p.numel() for p in parameters),
        params_nonzero=sum(left[place_of(p)] for p in parameters),
        weights=sum(w.numel() for w in weights),
        weights_nonzero=sum(left[place_of(w)] for w in weights),
        bytes_dense=sum(map(_dense_bytes, stored)),
        bytes_bitmask=sum(
            min(_dense_bytes(x), _bitmask_bytes(x, left[place_of(x)])) if place_of(x) in in_scope else _dense_bytes(x)
            for x in stored
        ),
        layers={name: LayerSize(weight.numel(), left[place_of(weight)]) for name, weight in weight_of.items()},
    )


def nonzero(tensor: Tensor) -> int:
    """How many entries are not zero. NumPy counts booleans several times faster than torch counts numbers."""
    return int(np.count_nonzero(tensor.detach().bool().cpu().numpy()))


def peak_resident_bytes() -> int:
    """The most memory that this process ever held, in bytes (Linux and macOS).

    On Linux from ``VmHWM`` where there is one: `getrusage` carries its number over `exec`, so that a worker
    that a large parent started would begin at the parent's size.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(found[1]) * 1024
    return rusage_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, sys.platform)


def rusage_bytes(maxrss: int, platform: str) -> int:
    """``ru_maxrss`` in bytes: macOS reports bytes, Linux and the BSDs KiB."""
    return maxrss if platform == "darwin" else maxrss * 1024


def peak_cuda_bytes(device: torch.device | str = "cuda") -> int | None:
    """The most memory that tensors held on ``device`` since its peak was last reset; None without CUDA."""
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated(device))


def _unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({place_of(tensor): tensor for tensor in tensors}.values())


def _dense_bytes(tensor: Tensor) -> int:
    return tensor.numel() * (FLOAT_BYTES if tensor.is_floating_point() else tensor.element_size())


def _bitmask_bytes(tensor: Tensor, nonzero: int) -> int:
    return -(-tensor.numel() // 8) + FLOAT_BYTES * nonzero
