"""The layers whose weights are counted and pruned: every convolution and every linear layer.

Beside PyTorch's own layers these are modules of the user's that hold a ``weight`` of a convolution or a linear
layer themselves and use it by a function: equalised, modulated and demodulated convolutions, for example.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

PrunableLayer: TypeAlias = _ConvNd | nn.Linear
"""Typed as PyTorch's own; a layer of the user's has no more in common with them than its ``weight``."""


class Dims(NamedTuple):
    """The dimension of a layer's ``weight`` that makes outputs and the one that reads inputs."""

    out: int
    into: int


_REGISTERED: dict[type[nn.Module], Dims] = {}


MARK = "_weight_dims"
"""The attribute of an own layer that has become smaller: a weight of one channel no longer shows what it is."""


def register_layer(kind: type[nn.Module], *, out_dim: int, in_dim: int) -> None:
    """Say along which dimensions modules of class ``kind`` hold the outputs and inputs of their ``weight``.

    Needed only where the convention does not hold: outputs first, inputs second, after a leading 1 if there is
    one before a two-dimensional kernel, as in the usual modulated convolution.
    """
    _REGISTERED[kind] = Dims(out_dim, in_dim)


def layer_dims(module: nn.Module) -> Dims | None:
    """Where the outputs and inputs of the module's ``weight`` are; None for what is no convolution or linear layer."""
    if (marked := module.__dict__.get(MARK)) is not None:
        return cast(Dims, marked)
    for kind in type(module).__mro__:
        if kind in _REGISTERED:
            return _REGISTERED[kind]
    if is_torch_layer(module):
        if not _has_weight(module):
            return None  # somebody sets it before each forward pass, from tensors that only they know
        return Dims(1, 0) if isinstance(module, _ConvTransposeNd) else Dims(0, 1)
    weight = module._parameters.get("weight")
    if weight is None or any(_is_torch(kind) and kind is not nn.Module for kind in type(module).__mro__[:-1]):
        return None  # an embedding, a norm, a slope for each channel
    if weight.ndim > 5 or sum(size > 1 for size in weight.shape) < 2:
        return None  # one value for each channel, whatever the shape it is kept in
    return Dims(1, 2) if weight.ndim == 5 and weight.shape[0] == 1 else Dims(0, 1)


def is_torch_layer(module: nn.Module) -> bool:
    """Whether it is one of PyTorch's convolution or linear layers, with a weight that can be had or not."""
    return isinstance(module, _ConvNd | nn.Linear)


def _has_weight(module: nn.Module) -> bool:
    made = any(isinstance(hook, SpectralNorm | WeightNorm) for hook in module._forward_pre_hooks.values())
    return "weight" in module._parameters or made or parametrize.is_parametrized(module, "weight")


def mark_own_layers(model: nn.Module) -> None:
    """Let the layers of somebody's own be known as layers however small they get."""
    for module in model.modules():
        if is_own(module) and (dims := layer_dims(module)) is not None:
            module.__dict__[MARK] = dims


def is_own(module: nn.Module) -> bool:
    """Whether the module's class is somebody's own, not one of PyTorch's."""
    return not _is_torch(type(module))


def _is_torch(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "torch"


def layer_uses(model: nn.Module) -> dict[str, PrunableLayer]:
    """Name -> layer, in the order of `named_modules`: also those that use a weight which an earlier one holds."""
    return {name: cast(PrunableLayer, m) for name, m in model.named_modules() if layer_dims(m) is not None}


def holders(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """The first layer that holds a weight -> all layers that hold it, itself included."""
    found: dict[tuple[Hashable, ...], list[str]] = {}
    for name, layer in layer_uses(model).items():
        found.setdefault(_made_of(layer), []).append(name)
    return {names[0]: tuple(names) for names in found.values()}


def ties(model: nn.Module) -> dict[str, str]:
    """Layer -> the earlier layer whose weight it uses; empty where each has one of its own."""
    return {name: owner for owner, names in holders(model).items() for name in names[1:]}


def prunable_layers(model: nn.Module) -> dict[str, PrunableLayer]:
    """Name -> layer, in the order of `named_modules`: the scope over which sparsity is counted.

    A weight is in it once, under the first layer that holds it: one tensor has one score, one mask and one size,
    whatever number of layers use it (`ties`).
    """
    layers = layer_uses(model)
    return {name: layers[name] for name in holders(model)}


def place_of(tensor: Tensor) -> Hashable:
    """The same for tensors that are one: one object, or several with the same numbers in the same memory."""
    if is_lazy(tensor) or tensor.device.type == "meta" or tensor.numel() == 0:
        return id(tensor)
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def weight_sources(layer: nn.Module) -> tuple[Tensor, ...]:
    """The parameters that the layer's weight is or, where it is normalised, is made of before each forward pass."""
    if (weight := layer._parameters.get("weight")) is not None:
        return (weight,)
    if parametrize.is_parametrized(layer, "weight"):
        return tuple(layer.parametrizations.weight.parameters())  # type: ignore[union-attr]
    made = (layer._parameters.get(f"weight_{part}") for part in ("orig", "g", "v"))
    return tuple(tensor for tensor in made if tensor is not None)


def _made_of(layer: nn.Module) -> tuple[Hashable, ...]:
    return tuple(place_of(tensor) for tensor in weight_sources(layer)) or (id(layer),)


def _dims(layer: nn.Module) -> Dims:
    dims = layer_dims(layer)
    if dims is None:
        raise TypeError(f"{type(layer).__name__} is no convolution or linear layer")
    return dims


def out_dim(layer: nn.Module) -> int:
    """The dimension of ``layer.weight`` that makes outputs: 0, but 1 for a transposed convolution."""
    return _dims(layer).out


def in_dim(layer: nn.Module) -> int:
    """The dimension of ``layer.weight`` that reads inputs: 1, but 0 for a transposed convolution."""
    return _dims(layer).into


def widths(model: nn.Module) -> dict[str, tuple[int, int]]:
    """``(out, in)`` channels of every convolution and linear layer, groups included."""
    found = {}
    for name, layer in layer_uses(model).items():
        if isinstance(layer, _ConvNd):
            found[name] = (layer.out_channels, layer.in_channels)
        else:
            found[name] = weight_widths(layer)
    return found


def weight_widths(layer: nn.Module) -> tuple[int, int]:
    """``(out, in)`` sizes of the layer's weight: of a grouped convolution one side is that of a single group."""
    weight = cast(Tensor, layer.weight)
    dims = _dims(layer)
    return int(weight.shape[dims.out]), int(weight.shape[dims.into])


def device_of(model: nn.Module) -> torch.device:
    """Where the first parameter or buffer of ``model`` is; the CPU where it has none."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def named_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name of the layer and its weight, detached, for every weight of the scope, see `prunable_layers`."""
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
    """The parameter that holds the layer's weight, which a mask on a discriminator has to be held on.

    For discriminators alone, which keep their spectral norm while they train. A generator's weights are plain
    wherever a mask is held on it: `strategies.baking` bakes the norm in first, and refuses what is not plain.

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
