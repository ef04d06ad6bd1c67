"""The layers whose weights are counted and pruned: every convolution and every linear layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

PrunableLayer: TypeAlias = _ConvNd | nn.Linear


def prunable_layers(model: nn.Module) -> dict[str, PrunableLayer]:
    """Name -> layer, in the order of `named_modules`: the scope over which sparsity is counted."""
    return {name: m for name, m in model.named_modules() if isinstance(m, _ConvNd | nn.Linear)}


def out_dim(layer: nn.Module) -> int:
    """The dimension of ``layer.weight`` that makes outputs: 0, but 1 for a transposed convolution."""
    return 1 if isinstance(layer, _ConvTransposeNd) else 0


def in_dim(layer: nn.Module) -> int:
    """The dimension of ``layer.weight`` that reads inputs: 1, but 0 for a transposed convolution."""
    return 1 - out_dim(layer)


def widths(model: nn.Module) -> dict[str, tuple[int, int]]:
    """``(out, in)`` channels of every prunable layer, groups included."""
    found = {}
    for name, layer in prunable_layers(model).items():
        if isinstance(layer, nn.Linear):
            found[name] = (layer.out_features, layer.in_features)
        else:
            found[name] = (layer.out_channels, layer.in_channels)
    return found


def positions(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> dict[str, int]:
    """How often each weight entry of a layer is multiplied in one forward pass of one image.

    A convolution: its output positions. A transposed convolution: its input positions. A linear layer:
    the vectors it is applied to. So a layer's MACs are its positions times its (kept) weight entries.
    """
    counts = dict.fromkeys(prunable_layers(model), 0)

    def count(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        batch = len(example_inputs[0])
        if isinstance(layer, nn.Linear):
            counts[name] += output.numel() // (output.shape[-1] * batch)
        else:
            grid = inputs[0] if isinstance(layer, _ConvTransposeNd) else output
            spatial = len(layer.kernel_size)  # type: ignore[arg-type]
            counts[name] += grid.shape[-spatial:].numel()

    handles = [
        layer.register_forward_hook(lambda m, i, o, name=name: count(name, m, i, o))
        for name, layer in prunable_layers(model).items()
    ]
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(*example_inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return counts


def named_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name of the layer and its weight, detached, for every prunable layer."""
    for name, layer in prunable_layers(model).items():
        yield name, layer.weight.detach()


def tensors_of(output: object) -> Iterator[Tensor]:
    """The tensors of what a network returned, in order: alone, or in tuples, lists and dicts."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from tensors_of(value)
    elif isinstance(output, Sequence) and not isinstance(output, str | bytes):
        for value in output:
            yield from tensors_of(value)


def outputs(model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """What ``model`` makes of ``inputs`` in eval mode, float64 and flat; several outputs one after the other."""
    modes = {module: module.training for module in model.modules()}
    try:
        made = model.eval()(*inputs)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return torch.cat([tensor.double().flatten() for tensor in tensors_of(made)])


def stored_weight(layer: nn.Module) -> Tensor:
    """The parameter that holds the layer's weight, which a mask has to be held on.

    Usually ``layer.weight``. Under a parametrization (spectral norm) that is computed anew at every use, and the
    parameter is ``parametrizations.weight.original``; under torch's older hooks it is ``weight_orig``.

    Raises:
        TypeError: a parametrization of several tensors (weight norm), where a zero has no place of its own.
    """
    if parametrize.is_parametrized(layer, "weight"):
        held = layer.parametrizations.weight  # type: ignore[union-attr]
        if not isinstance(getattr(held, "original", None), Tensor):
            raise TypeError(f"{type(layer).__name__}: its weight is computed from several tensors and cannot be masked")
        return held.original  # type: ignore[union-attr, return-value]
    original = getattr(layer, "weight_orig", None)
    weight = layer.weight if original is None else original
    assert isinstance(weight, Tensor)
    return weight
