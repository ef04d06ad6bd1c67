"""Which channels must go together, found by Torch-Pruning's dependency graph (Fang et al. 2023)."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from strategies.base import Kept
from strategies.layers import in_dim, out_dim
from strategies.slicing import can_slice, shrink, twin_error


@dataclass(frozen=True)
class Member:
    """One side of one module: ``indices[k]`` of it belongs to channel ``channels[k]`` of the group."""

    module: str
    side: str
    """``out`` (makes the channel, or normalises it) or ``in`` (reads it)."""
    indices: Tensor
    channels: Tensor


@dataclass(frozen=True)
class Group:
    """Channels ``0 .. size-1`` that several modules share: removing one removes it from every member."""

    name: str
    size: int
    members: tuple[Member, ...]

    @property
    def consumed(self) -> bool:
        """Whether anything reads the channels. What nothing reads is the network's output."""
        return any(member.side == "in" for member in self.members)


@dataclass(frozen=True)
class Coupling:
    """The groups that may be pruned, and why the others may not."""

    groups: tuple[Group, ...]
    dense: dict[str, str]
    """Group name -> reason why its channels stay."""


def couple(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> Coupling:
    """Find the coupled channels of ``model`` by tracing one forward pass.

    The network's output channels are never offered: they are the groups that no layer reads, which is found
    from the trace, not from names. Input dimensions are not offered either: groups start at a layer's outputs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning

        graph = torch_pruning.DependencyGraph()
        traced = copy.deepcopy(model).cpu().float().requires_grad_(True)
        names = {module: name for name, module in traced.named_modules()}
        # The library prints about parameters that it cannot place; what it misses, the twin check finds.
        with contextlib.redirect_stdout(io.StringIO()):
            graph.build_dependency(traced, example_inputs=tuple(x.cpu() for x in example_inputs))
            found = list(graph.get_all_groups())
    groups, dense = [], {}
    for items in found:
        root = names[items[0].dep.target.module]
        group = Group(root, len(items[0].idxs), _members(graph, items, names))
        unknown = [m.module for m in group.members if not can_slice(dict(traced.named_modules())[m.module])]
        if not group.consumed:
            dense[root] = "makes the network's output"
        elif unknown:
            dense[root] = f"coupled to {unknown[0]}, a kind of module that cannot be made smaller"
        elif (problem := _probe(traced, group, example_inputs)) is not None:
            dense[root] = problem
        else:
            groups.append(group)
    order = {name: k for k, name in enumerate(names.values())}
    return Coupling(tuple(sorted(groups, key=lambda group: order[group.name])), dense)


PROBE_TOLERANCE = 1e-9


def _probe(model: nn.Module, group: Group, example_inputs: tuple[Tensor, ...]) -> str | None:
    """Remove the group's first channel for a try; why that cannot be done, or None.

    A reshape that fixes a width, or weights made by a parametrisation, show only when the smaller network runs.
    """
    if group.size < 2:
        return "has a single channel"
    kept = kept_without(model, (group,), {group.name: torch.tensor([0])})
    try:
        error = twin_error(model, shrink(model, kept), kept, example_inputs)
    except (RuntimeError, ValueError, IndexError, KeyError, TypeError) as problem:
        return f"cannot be made smaller: {str(problem).splitlines()[0]}"
    if error > PROBE_TOLERANCE:
        return f"without one channel it differs from its masked twin by {error:.1e}"
    return None


def kept_without(model: nn.Module, groups: tuple[Group, ...], removed: Mapping[str, Tensor]) -> Kept:
    """Kept indices of every module that loses any, when ``removed[group name]`` channels go."""
    gone: dict[tuple[str, str], list[Tensor]] = {}
    for group in groups:
        for member in group.members:
            hit = torch.isin(member.channels, removed[group.name])
            if hit.any():
                gone.setdefault((member.module, member.side), []).append(member.indices[hit])
    kept: dict[str, dict[str, Tensor]] = {}
    for (name, side), indices in gone.items():
        stays = torch.ones(_width(model.get_submodule(name), side), dtype=torch.bool)
        stays[torch.cat(indices)] = False
        kept.setdefault(name, {})[side] = stays.nonzero().squeeze(1)
    return kept


def _width(module: nn.Module, side: str) -> int:
    weight: Tensor = module.weight  # type: ignore[assignment]
    if weight.ndim == 1:
        return len(weight)
    return int(weight.shape[out_dim(module) if side == "out" else in_dim(module)])


def _members(graph: object, items: object, names: dict[nn.Module, str]) -> tuple[Member, ...]:
    members = []
    for item in items:  # type: ignore[attr-defined]
        module = item.dep.target.module
        if module not in names or not list(module.parameters(recurse=False)):
            continue  # element-wise operators, reshapes, concatenations
        side = "out" if graph.is_out_channel_pruning_fn(item.dep.handler) else "in"  # type: ignore[attr-defined]
        indices, channels = torch.tensor(list(item.idxs)), torch.tensor(list(item.root_idxs))
        members.append(Member(names[module], side, indices, channels))
    return tuple(members)
