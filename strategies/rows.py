"""Weights of all kinds of layers as matrices: which of them make one output."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from strategies.layers import in_dim, out_dim


def to_rows(weight: Tensor, layer: nn.Module) -> Tensor:
    """A tensor of the shape of the layer's weight as ``(groups, out, in, taps)``: each ``[g, o]`` makes one output."""
    flat = weight.movedim((out_dim(layer), in_dim(layer)), (0, 1))
    flat = flat.reshape(*flat.shape[:2], -1)
    groups = _groups(layer)
    if _is_transposed(layer):
        return flat.reshape(len(flat), groups, -1, flat.shape[2]).transpose(0, 1)
    return flat.reshape(groups, -1, *flat.shape[1:])


def from_rows(rows: Tensor, layer: nn.Module, shape: torch.Size) -> Tensor:
    """Back from `to_rows` to ``shape``, that of the layer's weight."""
    flat = rows.transpose(0, 1).flatten(1, 2) if _is_transposed(layer) else rows.flatten(0, 1)
    out, into = out_dim(layer), in_dim(layer)
    taps = [size for dim, size in enumerate(shape) if dim not in (out, into)]
    return flat.reshape(*flat.shape[:2], *taps).movedim((0, 1), (out, into))


def _groups(layer: nn.Module) -> int:
    return layer.groups if isinstance(layer, _ConvNd) else 1


def _is_transposed(layer: nn.Module) -> bool:
    """Whether the weight has all inputs and the outputs of one group; of other layers it is the other way round."""
    return isinstance(layer, _ConvTransposeNd)
