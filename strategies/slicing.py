"""Making layers physically smaller by keeping some of their channels.

Torch-Pruning says which channels belong together (`strategies.granularity.coupling`); the cutting itself is a
few lines of indexing, is used for loading as well, and so a pruned generator loads without that library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from strategies.base import Kept
from strategies.layers import in_dim, out_dim, prunable_layers


def can_slice(module: nn.Module) -> bool:
    """Whether `shrink` knows how to make this kind of module smaller."""
    if isinstance(module, _ConvNd):
        return module.groups == 1
    return isinstance(module, nn.Linear | _NormBase)


def cuts(model: nn.Module, kept: Kept) -> dict[str, Callable[[Tensor], Tensor]]:
    """Parameter or buffer name -> the function that takes the kept part of it.

    The same functions cut an optimizer's moments and a moving average, which have the shapes of the parameters.
    """
    modules = dict(model.named_modules())
    found: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, sides in kept.items():
        module = modules[name]
        if not can_slice(module):
            raise TypeError(f"{name}: {type(module).__name__} cannot be made smaller")
        dims = {"out": 0} if isinstance(module, _NormBase) else {"out": out_dim(module), "in": in_dim(module)}
        chosen = {dims[side]: indices for side, indices in sides.items()}
        for key, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if tensor.ndim == 0:
                continue  # num_batches_tracked
            if key == "weight" and tensor.ndim > 1:
                here = chosen
            else:  # biases and everything of a normalisation: one value an output channel
                here = {0: sides["out"]} if "out" in sides else {}
            if here:
                found[f"{name}.{key}"] = _selector(here)
    return found


def _selector(chosen: dict[int, Tensor]) -> Callable[[Tensor], Tensor]:
    def select(tensor: Tensor) -> Tensor:
        for dim, indices in chosen.items():
            tensor = tensor.index_select(dim, indices.to(tensor.device))
        return tensor

    return select


def shrink(model: nn.Module, kept: Kept) -> nn.Module:
    """A copy of ``model`` in which only the ``kept`` channels are left.

    Raises:
        TypeError: a module of a kind that cannot be made smaller.
    """
    small = copy.deepcopy(model)
    modules = dict(small.named_modules())
    for full_name, select in cuts(model, kept).items():
        name, key = full_name.rsplit(".", 1)
        module = modules[name]
        tensor = getattr(module, key)
        cut = select(tensor.detach()).clone(memory_format=torch.contiguous_format)
        if isinstance(tensor, nn.Parameter):
            setattr(module, key, nn.Parameter(cut, requires_grad=tensor.requires_grad))
        else:
            setattr(module, key, cut)
    for name, sides in kept.items():
        _rename_sizes(modules[name], {side: len(indices) for side, indices in sides.items()})
    return small


def _rename_sizes(module: nn.Module, sizes: dict[str, int]) -> None:
    """Keep a module's own idea of its size true, for `repr`, exporters and whoever asks."""
    if isinstance(module, _NormBase):
        module.num_features = sizes.get("out", module.num_features)
    elif isinstance(module, nn.Linear):
        module.out_features = sizes.get("out", module.out_features)
        module.in_features = sizes.get("in", module.in_features)
    elif isinstance(module, _ConvNd):
        module.out_channels = sizes.get("out", module.out_channels)
        module.in_channels = sizes.get("in", module.in_channels)


def silence(model: nn.Module, kept: Kept) -> None:
    """Zero, in place, what the layers of ``model`` read of the removed channels: the masked twin.

    Zeroing a channel where it is made is not the same: behind it a norm's shift or a sigmoid would fill it again.
    """
    layers = prunable_layers(model)
    with torch.no_grad():
        for name, sides in kept.items():
            if "in" not in sides or name not in layers:
                continue
            layer = layers[name]
            dim = in_dim(layer)
            gone = torch.ones(layer.weight.shape[dim], dtype=torch.bool)
            gone[sides["in"].cpu()] = False
            layer.weight.index_fill_(dim, gone.nonzero().squeeze(1).to(layer.weight.device), 0.0)


def twin_error(dense: nn.Module, compact: nn.Module, kept: Kept, inputs: tuple[Tensor, ...]) -> float:
    """How far ``compact`` is from the masked twin of ``dense``, in float64, relative to the largest output.

    Both networks must hold the same weights where both have them. Returns infinity where the shapes of the
    outputs differ or anything is not finite.
    """
    twin = copy.deepcopy(dense).double().eval()
    silence(twin, kept)
    small = copy.deepcopy(compact).double().eval()
    inputs = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    with torch.no_grad():
        expected, found = twin(*inputs), small(*inputs)
    if expected.shape != found.shape or not torch.isfinite(found).all():
        return float("inf")
    scale = expected.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    return float((expected - found).abs().max() / scale)


def bypass(model: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """A copy of ``model`` in which the modules ``names`` are the identity.

    Raises:
        AttributeError: a name that is not one of its modules.
    """
    small = copy.deepcopy(model)
    for name in names:
        small.get_submodule(name)
        parent, _, child = name.rpartition(".")
        setattr(small.get_submodule(parent), child, nn.Identity().train(small.training))
    return small
