"""Whole blocks and layers, replaced by the identity where their input and output have the same shape."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from strategies.allocation import Allocation, Layout
from strategies.baking import plain
from strategies.base import (
    Context,
    Criterion,
    Need,
    NotApplicable,
    Pruned,
    Removal,
    Target,
)
from strategies.granularity.units import layer_cuts, nearest
from strategies.layers import holders, layer_uses, outputs, prunable_layers
from strategies.slicing import bypass
from strategies.work import work_of

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""What only holds others: looked into, never removed as a whole."""


@dataclass(frozen=True)
class BlockRemoval:
    """Modules that become the identity."""

    blocks: tuple[str, ...]
    example_inputs: tuple[Tensor, ...]
    shares: dict[Target, float]

    def hold(self, model: nn.Module) -> None:
        """Raises `NotApplicable`: no weight that is zero makes a block the identity."""
        raise NotApplicable("a block cannot be held back while the network trains on; remove it in one shot")

    def apply(self, model: nn.Module) -> Pruned:
        model = plain(model)
        small = bypass(model, self.blocks)
        if not _like_twin(model, small, self.blocks, self.example_inputs):
            raise NotApplicable(
                f"without {', '.join(self.blocks)} the output is not that of the dense network with them bypassed"
            )
        cuts = layer_cuts(model, small)
        return Pruned(small, cuts, bypassed=self.blocks)

    def sparsity(self, target: Target) -> float:
        return self.shares[target]


@dataclass(frozen=True)
class BlockRanking:
    """Removable blocks in the order in which they go."""

    blocks: tuple[str, ...]
    priorities: NDArray[np.float64]
    shares: dict[Target, NDArray[np.float64]]
    """Share of parameters or MACs that is gone without the first so many blocks."""
    example_inputs: tuple[Tensor, ...]

    def cut(self, sparsity: float, target: Target) -> BlockRemoval:
        return self._first(nearest(self.shares[target], sparsity, target))

    def at(self, value: float) -> BlockRemoval:
        return self._first(int((self.priorities < value).sum()))

    def _first(self, count: int) -> BlockRemoval:
        shares: dict[Target, float] = {target: float(values[count]) for target, values in self.shares.items()}
        return BlockRemoval(self.blocks[:count], self.example_inputs, shares)


@dataclass(frozen=True)
class BlockGranularity:
    """Blocks by their own score where the criterion names them, else by the mean score of their weights."""

    name: str = "block"
    needs: frozenset[Need] = frozenset()

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> BlockRanking:
        found = removable_blocks(context.generator, context.example_inputs)
        if not found:
            raise NotApplicable("no block or layer gives back the shape that it takes, so none can be left out")
        scores = criterion(context)
        owner = {name: first for first, names in holders(context.generator).items() for name in names}
        values = {}
        for block in found:
            names = [name for name in layer_uses(context.generator) if name == block or name.startswith(f"{block}.")]
            inside = dict.fromkeys(owner[name] for name in names)
            parts = [scores[block]] if block in scores else [criterion.of_weights(scores[n]).flatten() for n in inside]
            values[block] = torch.cat([part.detach().cpu().double().reshape(-1) for part in parts]).mean()[None]
        layout = Layout(
            context, {name: torch.Size([1]) for name in found}, lambda name, gone: bypass(context.generator, (name,))
        )
        priorities = {name: float(value) for name, value in allocation(values, layout).items()}
        order = sorted(found, key=lambda name: (priorities[name], found.index(name)))
        return BlockRanking(
            tuple(order),
            np.array([priorities[name] for name in order]),
            _shares(context, order),
            context.example_inputs,
        )


def removable_blocks(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> tuple[str, ...]:
    """The outermost modules with weights that are called once, take one tensor and give back its shape.

    Containers are looked into. A candidate whose absence makes the forward pass fail is left out.
    """
    shapes: dict[str, list[bool]] = {}

    def look(name: str, inputs: tuple[object, ...], output: object) -> None:
        same = (
            len(inputs) == 1
            and isinstance(inputs[0], Tensor)
            and isinstance(output, Tensor)
            and inputs[0].shape == output.shape
        )
        shapes.setdefault(name, []).append(same)

    handles = [
        module.register_forward_hook(lambda m, i, o, name=name: look(name, i, o))
        for name, module in model.named_modules()
        if name and not isinstance(module, CONTAINERS) and prunable_layers(module)
    ]
    try:
        with torch.no_grad():
            outputs(model, example_inputs)
    finally:
        for handle in handles:
            handle.remove()
    fitting = [name for name, _ in model.named_modules() if shapes.get(name) == [True]]
    outermost = [name for name in fitting if not any(name.startswith(f"{other}.") for other in fitting)]
    return tuple(name for name in outermost if _runs(bypass(model, (name,)), example_inputs))


def _runs(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> bool:
    try:
        with torch.no_grad():
            return bool(torch.isfinite(outputs(model, example_inputs)).all())
    except (RuntimeError, ValueError, IndexError, KeyError, TypeError, AttributeError):
        return False


def _like_twin(dense: nn.Module, small: nn.Module, blocks: tuple[str, ...], inputs: tuple[Tensor, ...]) -> bool:
    """Whether ``small`` computes, in float64, what ``dense`` does when its blocks run but give back what they took."""
    twin = copy.deepcopy(dense).double()
    for name in blocks:
        twin.get_submodule(name).register_forward_hook(lambda module, taken, made: taken[0])
    doubled = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    with torch.no_grad():
        expected, found = outputs(twin, doubled), outputs(copy.deepcopy(small).double(), doubled)
    return expected.shape == found.shape and bool(torch.isfinite(found).all()) and torch.equal(expected, found)


def _shares(context: Context, order: list[str]) -> dict[Target, NDArray[np.float64]]:
    """Counted on the networks themselves: a weight may live on in another block, and attention goes with its own."""
    works = [context.work]
    for count in range(1, len(order) + 1):
        try:
            works.append(work_of(bypass(context.generator, tuple(order[:count])), context.example_inputs))
        except (RuntimeError, ValueError, IndexError, KeyError, TypeError, AttributeError):
            works.append(works[-1])  # not together with those before it: never nearer to a target than without it
    weights = np.array([sum(work.entries.values()) for work in works], dtype=np.float64)
    macs = np.array([work.total for work in works], dtype=np.float64)
    return {"params": 1 - weights / weights[0], "macs": 1 - macs / macs[0]}


block = BlockGranularity()
