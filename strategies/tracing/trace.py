"""One forward pass, followed operator by operator."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._python_dispatch import TorchDispatchMode

from strategies import layers
from strategies.tracing.labels import Atoms, Book, Traced, Vector
from strategies.tracing.rules import RULES, elementwise, opaque, tensors_of

OUTPUT = "makes the network's output"


@dataclass(frozen=True)
class Trace:
    """The channels of a network: which are one, and why some must stay."""

    atoms: Atoms
    bare_norms: dict[str, Vector]
    """Norms without any tensor -> the channels that they normalise: only their number of features changes."""
    holders: Mapping[str, tuple[str, ...]]
    """Tensor, as families name it -> its names in all modules that hold it, this one first."""


def trace(model: nn.Module, example_inputs: tuple[Tensor, ...], *, last: bool = False) -> Trace:
    """Follow every channel of ``model`` through one forward pass.

    A view that spreads channels over several dimensions does not say which is theirs: the first, as in
    ``view(batch, channels, height, width)``, or the ``last``. Raises what the forward pass raises.
    """
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    book = Book(last)
    held = _held(model)
    for name, module in model.named_modules():
        _enter_tensors(book, f"{name}." if name else "", module, held)
    norms: dict[str, Vector] = {}

    def note(name: str, x: object) -> None:
        if isinstance(x, Tensor) and x.ndim > 1 and (vector := book[x].dims[1]) is not None:
            if name in norms and len(norms[name]) == len(vector):  # one number of features for all that it normalises
                book.atoms.unite(norms[name], vector)
            norms[name] = vector

    for name, module in model.named_modules():
        if isinstance(module, _NormBase | nn.GroupNorm) and not [*module.parameters(), *module.buffers()]:
            module.register_forward_pre_hook(
                lambda _, args, named, name=name: note(name, next(iter([*args, *named.values()]), None)),
                with_kwargs=True,
            )
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), torch.random.fork_rng(devices=[]), _Follower(book):
            found = model(*(x.cpu() for x in example_inputs))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    for tensor in layers.tensors_of(found):
        book.atoms.keep_all(book[tensor], OUTPUT)
    return Trace(book.atoms, norms, {names[0]: tuple(names) for names in held.values()})


def _held(model: nn.Module) -> dict[int, list[str]]:
    """Tensor, by identity -> its names; that of a layer's weight first, which says what its dimensions are."""
    found: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        layer = layers.layer_dims(module) is not None
        for key, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None:
                continue
            names = found.setdefault(id(tensor), [])
            full = f"{name}.{key}" if name else key
            first = layer and key == "weight" and not (names and _is_weight(model, names[0]))
            names.insert(0 if first else len(names), full)
    return found


def _is_weight(model: nn.Module, full: str) -> bool:
    name, _, key = full.rpartition(".")
    return key == "weight" and layers.layer_dims(model.get_submodule(name)) is not None


def _enter_tensors(book: Book, prefix: str, module: nn.Module, held: Mapping[int, list[str]]) -> None:
    layer = layers.layer_dims(module)
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for key, tensor in own:
        if not tensor.is_floating_point() or tensor.ndim == 0 or book[tensor].known:
            continue  # a counter, or a tensor that was entered with another module
        if held[id(tensor)][0] != prefix + key:
            continue  # a layer's weight: entered with the layer
        wanted = set(layer) if layer and key == "weight" else set(_channel_dims(tensor))
        dims = tuple(
            book.atoms.family(prefix + key, dim, size) if dim in wanted else None
            for dim, size in enumerate(tensor.shape)
        )
        book[tensor] = Traced(dims, weight=len(wanted) > 1)


def _channel_dims(tensor: Tensor) -> list[int]:
    """Where a tensor of unknown purpose may hold channels: of images the second dimension, else all that are not 1."""
    if tensor.ndim >= 4:
        return [1]
    return [dim for dim, size in enumerate(tensor.shape) if size > 1 or tensor.ndim == 1]


class _Follower(TorchDispatchMode):
    def __init__(self, book: Book) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.book = book

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not any(self.book[tensor].known for tensor in tensors_of([*args, *kwargs.values()])):
            return out
        namespace, _, name = func.overloadpacket._qualified_op_name.partition("::")
        rule = RULES.get(name) or RULES.get(name.rstrip("_")) if namespace == "aten" else None
        if rule is None:
            rule = elementwise if torch.Tag.pointwise in func.tags else opaque
        rule(self.book, name, func, args, kwargs, out)
        return out
