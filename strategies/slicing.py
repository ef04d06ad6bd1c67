"""Making layers physically smaller by keeping some of their channels.

Tracing says which channels belong together (`strategies.granularity.coupling`); the cutting itself is a few lines
of indexing, is used for loading as well, and so a pruned generator loads without Torch-Pruning.

What stays of a module is said by side:

- ``out`` and ``in``: the channels that a layer makes or reads; ``out`` of a norm, an embedding: its channels;
- ``<tensor>:<dimension>:out`` or ``...:in``: one dimension of one tensor of any other module, made or read;
- ``.<attribute>``, ``.<attribute>[<place>]``: a whole number, by itself or in a tuple or list, that is a number of
  channels and becomes the number of indices;
- ``product``: nothing is cut; the channels of this layer are only multiplied with those of another one.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Hashable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from strategies.baking import is_plain, plain_copy
from strategies.base import Kept
from strategies.layers import (
    device_of,
    in_dim,
    layer_dims,
    mark_own_layers,
    out_dim,
    place_of,
    tensors_of,
    weight_widths,
)

CHANNEL_MODULES: dict[type[nn.Module], tuple[str, int]] = {
    _NormBase: ("num_features", 0),
    nn.GroupNorm: ("num_channels", 0),
    nn.PReLU: ("num_parameters", 0),
    nn.Embedding: ("embedding_dim", 1),
}
"""Modules that are no layers -> the attribute that holds their number of channels, the dimension of all tensors."""

PRODUCT = "product"


def can_slice(module: nn.Module) -> bool:
    """Whether `shrink` knows what ``out`` (and ``in``) of this kind of module means."""
    return layer_dims(module) is not None or _channels(module) is not None


def _channels(module: nn.Module) -> tuple[str, int] | None:
    return next((found for kind, found in CHANNEL_MODULES.items() if isinstance(module, kind)), None)


def side_width(module: nn.Module, side: str) -> int:
    """How many indices a whole side has. Raises TypeError, AttributeError or ValueError where it is not there."""
    if side.startswith("."):
        key, place = _attribute(side)
        value = module.__dict__.get(key)
        if place is not None and isinstance(value, tuple | list):
            value = value[place]
        if type(value) is not int:
            raise AttributeError(f"{type(module).__name__} has no whole number {side[1:]!r}")
        return value
    if ":" in side:
        key, dim = _place(side)
        return int(_tensor(module, key).shape[dim])
    if layer_dims(module) is not None:
        return weight_widths(module)[0 if side in ("out", PRODUCT) else 1]
    if side == "out" and (found := _channels(module)) is not None:
        return int(getattr(module, found[0]))
    raise TypeError(f"{type(module).__name__} cannot be made smaller")


def side_tensors(module: nn.Module, side: str) -> dict[str, int]:
    """Own tensors of ``module`` that ``side`` cuts, and the dimension of each."""
    if side.startswith(".") or side == PRODUCT:
        return {}
    if ":" in side:
        return dict([_place(side)])
    if side not in ("out", "in"):
        raise ValueError(f"no side {side!r}")
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    if layer_dims(module) is not None:
        if side == "in":
            return {"weight": in_dim(module)}
        # Beside the weight everything that has one value for each output channel.
        width = weight_widths(module)[0]
        return {"weight": out_dim(module)} | {
            key: 0 for key, tensor in own if key != "weight" and tensor.ndim == 1 and len(tensor) == width
        }
    if side == "out" and (found := _channels(module)) is not None:
        return {key: found[1] for key, tensor in own if tensor.ndim > found[1]}  # not num_batches_tracked
    raise TypeError(f"{type(module).__name__} cannot be made smaller")


def _attribute(side: str) -> tuple[str, int | None]:
    """The name of an attribute, and the place in it where it is a tuple or a list."""
    key, _, place = side[1:].partition("[")
    return key, int(place.removesuffix("]")) if place else None


def _place(side: str) -> tuple[str, int]:
    key, dim, role = side.split(":")
    if role not in ("in", "out"):
        raise ValueError(f"side {side!r}: expected in or out at its end")
    return key, int(dim)


def _tensor(module: nn.Module, key: str) -> Tensor:
    found: Tensor | None = module._parameters.get(key, module._buffers.get(key))
    if found is None:
        raise AttributeError(f"{type(module).__name__} has no tensor {key!r}")
    return found


def cuts(model: nn.Module, kept: Kept) -> dict[str, Callable[[Tensor], Tensor]]:
    """Parameter or buffer name -> the function that takes the kept part of it; under each of its names.

    The same functions cut an optimizer's moments and a moving average, which have the shapes of the parameters.
    """
    modules = dict(model.named_modules())
    sharing = _sharing(model)
    chosen: dict[Hashable, tuple[str, dict[int, Tensor]]] = {}
    for name, sides in kept.items():
        module = modules[name]
        try:
            for side, indices in sides.items():
                for key, dim in side_tensors(module, side).items():
                    full = f"{name}.{key}" if name else key
                    first, dims = chosen.setdefault(place_of(_tensor(module, key)), (full, {}))
                    if not torch.equal(dims.setdefault(dim, indices).cpu(), indices.cpu()):
                        raise ValueError(f"{first} and {full} are one tensor, and would keep different channels")
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from error
    return {
        name: select for place, (_, dims) in chosen.items() for select in [_selector(dims)] for name in sharing[place]
    }


def _sharing(model: nn.Module) -> dict[Hashable, list[str]]:
    """Tensor -> all its names: those of modules that share it, each module by its first name."""
    found: dict[Hashable, list[str]] = {}
    for name, module in model.named_modules():
        for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is not None:
                found.setdefault(place_of(tensor), []).append(f"{name}.{key}" if name else key)
    return found


def _selector(chosen: dict[int, Tensor]) -> Callable[[Tensor], Tensor]:
    def select(tensor: Tensor) -> Tensor:
        for dim, indices in chosen.items():
            tensor = tensor.index_select(dim, indices.to(tensor.device))
        return tensor

    return select


def shrink(model: nn.Module, kept: Kept) -> nn.Module:
    """A copy of ``model`` in which only the ``kept`` channels are left; normalised weights become plain ones.

    A tensor that several modules hold is cut once, and stays theirs together.

    Raises:
        TypeError: a module of a kind that cannot be made smaller.
        ValueError: modules that share a tensor would keep different channels of it.
    """
    small = _copied(model)
    mark_own_layers(small)
    modules = dict(small.named_modules())
    selected = cuts(small, kept)
    touched = {*kept, *(name.rpartition(".")[0] for name in selected)}
    before = {name: copy.copy(modules[name].__dict__) for name in touched}
    made: dict[Hashable, Tensor] = {}
    for full_name, select in selected.items():
        name, _, key = full_name.rpartition(".")
        module = modules[name]
        tensor = _tensor(module, key)
        place = place_of(tensor)
        if place not in made:
            cut = select(tensor.detach()).clone(memory_format=torch.contiguous_format)
            held = isinstance(tensor, nn.Parameter)
            made[place] = nn.Parameter(cut, requires_grad=tensor.requires_grad) if held else cut
        setattr(module, key, made[place])
    for name in touched:
        sizes = {side: len(indices) for side, indices in kept.get(name, {}).items()}
        _rename_sizes(modules[name], before[name], sizes)
    return small


def _copied(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model) if is_plain(model) else plain_copy(model)


def _rename_sizes(module: nn.Module, before: dict[str, int], sizes: dict[str, int]) -> None:
    """Keep a module's own idea of its size true, for `repr`, exporters and whoever asks."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight_widths(module)
    elif isinstance(module, _ConvNd):
        out, into = weight_widths(module)
        transposed, groups = isinstance(module, _ConvTransposeNd), before["groups"]
        inputs, old_inputs = (sizes.get("in"), before["in_channels"]) if transposed else (into, before["in_channels"])
        if groups == old_inputs and groups > 1:  # a filter for each input channel: with the channel goes its group
            each = before["out_channels"] // groups
            groups = (inputs if inputs is not None else groups) if transposed else out // each
        module.groups = groups
        module.in_channels = into if transposed else into * groups
        module.out_channels = out * groups if transposed else out
    elif (found := _channels(module)) is not None and "out" in sizes:
        if isinstance(module, nn.GroupNorm):
            module.num_groups = before["num_groups"] * sizes["out"] // before["num_channels"]
        setattr(module, found[0], sizes["out"])
    for side, size in sizes.items():
        if side.startswith("."):
            side_width(module, side)
            key, place = _attribute(side)
            if place is not None:
                values = list(module.__dict__[key])
                values[place] = size
                setattr(module, key, type(module.__dict__[key])(values))
            else:
                setattr(module, key, size)


def silence(model: nn.Module, kept: Kept) -> None:
    """Zero, in place, what the layers of ``model`` read of the removed channels: the masked twin.

    Zeroing a channel where it is made is not the same: behind it a norm's shift or a sigmoid would fill it again.
    It is done only where a channel meets nothing but its partner in a product, which reads it.
    """
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, sides in kept.items():
            module = modules[name]
            for side, indices in sides.items():
                if side == PRODUCT:
                    tensors = side_tensors(module, "out")
                elif side == "in" or side.endswith(":in"):
                    tensors = side_tensors(module, side)
                else:
                    continue
                for key, dim in tensors.items():
                    tensor = _tensor(module, key)
                    gone = torch.ones(tensor.shape[dim], dtype=torch.bool)
                    gone[indices.cpu()] = False
                    tensor.index_fill_(dim, gone.nonzero().squeeze(1).to(tensor.device), 0.0)


def twin_error(dense: nn.Module, compact: nn.Module, kept: Kept, inputs: tuple[Tensor, ...]) -> float:
    """How far ``compact`` is from the masked twin of ``dense``, in float64, relative to the largest output.

    Both networks must hold the same weights where both have them. Networks that draw noise draw the same.
    Returns infinity where the shapes of the outputs differ or anything is not finite.
    """
    # The compact one first: where it cannot run, which is soon seen, the pass of the large one is saved.
    found = _doubles(_in_double(compact), inputs)
    twin = _in_double(dense)
    silence(twin, kept)
    expected = _doubles(twin, inputs)
    if [x.shape for x in expected] != [x.shape for x in found] or not all(bool(torch.isfinite(x).all()) for x in found):
        return float("inf")
    tiny = torch.finfo(torch.float64).tiny
    return max(
        (float((a - b).abs().max() / a.abs().max().clamp_min(tiny)) for a, b in zip(expected, found, strict=True)),
        default=0.0,
    )


def _in_double(model: nn.Module) -> nn.Module:
    """A copy of ``model`` in float64 and eval mode."""
    model = model if is_plain(model) else plain_copy(model)
    # Copied as what they become: copying first and converting then takes half as long again.
    doubles: dict[int, Tensor] = {
        id(p): nn.Parameter(p.detach().to(torch.float64, copy=True), requires_grad=False)
        for p in model.parameters()
        if p.is_floating_point()
    }
    doubles |= {id(b): b.detach().to(torch.float64, copy=True) for b in model.buffers() if b.is_floating_point()}
    return copy.deepcopy(model, doubles).eval()


def _doubles(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Every non-empty tensor of real numbers that ``model`` (in float64) returns, also from tuples and dicts."""
    device = device_of(model)
    inputs = tuple((x.double() if x.is_floating_point() else x).to(device) for x in inputs)
    devices = sorted({x.device.index or 0 for x in inputs if x.device.type == "cuda"})
    with torch.no_grad(), torch.random.fork_rng(devices=devices), _double_by_default():
        torch.manual_seed(0)
        found = tensors_of(model(*inputs))
    return [x for x in found if x.is_floating_point() and x.numel()]


@contextlib.contextmanager
def _double_by_default() -> Iterator[None]:
    """Tensors that a forward pass makes from nothing must fit weights in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def bypass(model: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """A copy of ``model`` in which the modules ``names`` are the identity.

    Raises:
        AttributeError: a name that is not one of its modules.
    """
    small = _copied(model)
    for name in names:
        small.get_submodule(name)
        parent, _, child = name.rpartition(".")
        setattr(small.get_submodule(parent), child, nn.Identity().train(small.training))
    return small
