"""Connections between layers: what a layer reads of one of the feature maps that were concatenated for it.

Skip connections of a U-Net and the connections of a dense block are such parts. A residual sum has no weights of
its own to remove; the branch beside it is a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from strategies.allocation import Allocation, Layout
from strategies.base import Context, Criterion, Need, NotApplicable, Removal, Target
from strategies.granularity.units import nearest
from strategies.granularity.weight import WeightRemoval, weight_scores
from strategies.layers import holders, in_dim, layer_uses, outputs, prunable_layers
from strategies.work import Work

Part = tuple[str, int, int]
"""A layer, and the first and one past the last of the inputs that come from one source."""


@dataclass(frozen=True)
class ConnectionRanking:
    """Parts in the order in which they go; of each layer the highest one always stays."""

    order: tuple[Part, ...]
    priorities: NDArray[np.float64]
    shapes: dict[str, torch.Size]
    dims: dict[str, int]
    work: Work

    @property
    def shares(self) -> dict[Target, NDArray[np.float64]]:
        """Share of parameters or MACs that is gone without the first so many parts."""
        options = [self._first(count) for count in range(len(self.order) + 1)]
        return {
            "params": np.array([option.sparsity("params") for option in options]),
            "macs": np.array([option.sparsity("macs") for option in options]),
        }

    def cut(self, sparsity: float, target: Target) -> WeightRemoval:
        return self._first(nearest(self.shares[target], sparsity, target))

    def at(self, value: float) -> WeightRemoval:
        return self._first(int((self.priorities < value).sum()))

    def _first(self, count: int) -> WeightRemoval:
        masks = {name: torch.ones(shape, dtype=torch.bool) for name, shape in self.shapes.items()}
        for name, start, end in self.order[:count]:
            masks[name].narrow(self.dims[name], start, end - start).fill_(False)
        return WeightRemoval(masks, self.work)


@dataclass(frozen=True)
class ConnectionGranularity:
    """A connection has the mean score of the weights that read through it."""

    name: str = "connection"
    needs: frozenset[Need] = frozenset()

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> ConnectionRanking:
        parts = concatenated(context.generator, context.example_inputs)
        if not parts:
            raise NotApplicable("no layer reads a concatenation, so there are no skip or dense connections to remove")
        scores = weight_scores(context, criterion)
        layers = prunable_layers(context.generator)
        dims = {name: in_dim(layer) for name, layer in layers.items()}
        held = after.masks if isinstance(after, WeightRemoval) else {}
        values: dict[str, Tensor] = {}
        for name, cuts in parts.items():
            means = []
            for start, end in cuts:
                gone = name in held and not held[name].narrow(dims[name], start, end - start).any()
                means.append(
                    -np.inf if gone else float(scores[name].narrow(dims[name], start, end - start).double().mean())
                )
            values[name] = torch.tensor(means, dtype=torch.float64)
        shapes = {name: layer.weight.shape for name, layer in layers.items()}

        def without(name: str, gone: Tensor) -> nn.Module:
            masks = {name: torch.ones(shapes[name], dtype=torch.bool)}
            for k in gone.tolist():
                start, end = parts[name][k]
                masks[name].narrow(dims[name], start, end - start).fill_(False)
            return WeightRemoval(masks, context.work).masked(context.generator)

        priorities = allocation(values, Layout(context, {name: shapes[name] for name in parts}, without))
        units = []
        for place, name in enumerate(parts):
            last = int(torch.argsort(priorities[name], stable=True)[-1])
            units += [
                (float(priority), place, (name, *parts[name][k]))
                for k, priority in enumerate(priorities[name])
                if k != last
            ]
        units.sort()
        return ConnectionRanking(
            tuple(part for _, _, part in units),
            np.array([priority for priority, _, _ in units]),
            shapes,
            dims,
            context.work,
        )


def concatenated(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Layer -> the ranges of its inputs that come from different sources, for layers that read a concatenation.

    Found by watching one forward pass: a concatenation along channels begins ranges, whatever keeps the number
    of channels (activations, norms, resizing) passes them on, a layer ends them.
    """
    watch = _Watch()
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    repeated: set[str] = set()

    def enter(name: str, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if name in found or name in repeated:
            found.pop(name, None)  # called twice: what it reads differs from call to call
            repeated.add(name)
        elif inputs and isinstance(inputs[0], Tensor) and len(ranges := watch.ranges(inputs[0])) > 1:
            found[name] = ranges
        else:
            repeated.add(name)

    handles = [
        layer.register_forward_pre_hook(lambda m, inputs, name=name: enter(name, m, inputs))
        for name, layer in layer_uses(model).items()
    ]
    try:
        with torch.no_grad(), watch:
            outputs(model, example_inputs)
    finally:
        for handle in handles:
            handle.remove()
    layers, shared = prunable_layers(model), holders(model)
    return {
        name: ranges
        for name, ranges in found.items()
        if name in layers
        and all(found.get(other) == ranges for other in shared[name])  # one tensor reads alike wherever it is used
        and ranges[-1][1] == layers[name].weight.shape[in_dim(layers[name])]  # grouped layers read otherwise
    }


class _Watch(TorchFunctionMode):
    """Which ranges of channels (dimension 1) of a tensor come from which part of a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, tuple[Tensor, tuple[tuple[int, int], ...]]] = {}

    def ranges(self, tensor: Tensor) -> tuple[tuple[int, int], ...]:
        width = tensor.shape[1] if tensor.ndim > 1 else 1
        return self._known.get(id(tensor), (tensor, ((0, width),)))[1]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor) or result.ndim < 2:
            return result
        if func in (torch.cat, torch.concat, torch.concatenate):
            parts = args[0] if args else kwargs.get("tensors", ())
            dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            if dim % result.ndim == 1:
                joined: list[tuple[int, int]] = []
                for part in parts:
                    start = joined[-1][1] if joined else 0
                    joined += [(start + a, start + b) for a, b in self.ranges(part)]
                self._known[id(result)] = (result, tuple(joined))
        elif func not in LAYERS:
            for taken in args:
                if isinstance(taken, Tensor) and id(taken) in self._known and taken.shape[1] == result.shape[1]:
                    self._known[id(result)] = (result, self.ranges(taken))
                    break
        return result


LAYERS = {
    torch.nn.functional.linear,
    torch.conv1d,
    torch.conv2d,
    torch.conv3d,
    torch.conv_transpose1d,
    torch.conv_transpose2d,
    torch.conv_transpose3d,
    torch.nn.functional.conv1d,
    torch.nn.functional.conv2d,
    torch.nn.functional.conv3d,
    torch.nn.functional.conv_transpose1d,
    torch.nn.functional.conv_transpose2d,
    torch.nn.functional.conv_transpose3d,
    torch.matmul,
    torch.bmm,
}
"""What mixes channels: behind it nothing is left of where they came from."""
