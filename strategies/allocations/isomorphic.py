"""Ranking only what is alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import cast

import torch
from torch import Tensor, nn

from strategies.allocation import Allocation, Layout, Priorities, Scored, quantiles
from strategies.granularity.coupling import Group, couple
from strategies.layers import layer_dims, prunable_layers

SETTINGS = ("stride", "padding", "dilation", "groups", "output_padding")


def _isomorphic(scores: Scored, layout: Layout) -> Priorities:
    """Quantiles within all groups, or layers, of one kind."""
    context = layout.context
    groups = {group.name: group for group in context.wiring.found_by(couple, context).groups}
    layers = prunable_layers(context.generator)
    classes: dict[Hashable, list[str]] = defaultdict(list)
    for name, values in scores.items():
        group = groups.get(name)
        if group is not None and len(values) == group.size:
            classes[kind_of(group, context.generator)].append(name)
        else:
            classes[_member(layers[name], "weight", 1, 1)].append(name)
    found: Priorities = {}
    for names in classes.values():
        places = quantiles(torch.cat([scores[name].double() for name in names]))
        found |= dict(zip(names, places.split([len(scores[name]) for name in names]), strict=True))
    return {name: found[name] for name in scores}


def kind_of(group: Group, model: nn.Module) -> Hashable:
    """Equal for groups whose channels are isomorphic: the same members, each with as much for a channel.

    A member is its kind of module, its side, the shape of what a channel has of it and the settings of its operator.
    Two channels with one kind are exchanged without any other layer becoming larger or smaller.
    """
    members = ((model.get_submodule(m.module), m) for m in group.members)
    return tuple(sorted(_member(module, m.side, len(m.indices), group.size) for module, m in members))


def _member(module: nn.Module, side: str, indices: int, size: int) -> tuple[str, ...]:
    dims = layer_dims(module)
    shape: tuple[int, ...] = ()
    if dims is not None:
        taken = {"out": dims.out, "in": dims.into}.get(side)
        shape = tuple(n for dim, n in enumerate(cast(Tensor, module.weight).shape) if dim != taken)
    settings = (f"{key}={getattr(module, key)}" for key in SETTINGS if dims is not None and hasattr(module, key))
    return (type(module).__name__, side, str(shape), f"{indices / size:g}", *settings)


isomorphic = Allocation(
    "isomorphic",
    _isomorphic,
    "priority = quantile of the score among all groups of isomorphic channels: the same share of each kind",
)
