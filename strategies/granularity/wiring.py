"""Groups of coupled channels from our own trace: from atoms to members."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn

from strategies.granularity.groups import Group, Member
from strategies.layers import layer_dims
from strategies.slicing import PRODUCT, can_slice, side_tensors
from strategies.tracing.labels import Atoms
from strategies.tracing.trace import Trace, trace


def find(
    model: nn.Module, example_inputs: tuple[Tensor, ...], *, last: bool = False
) -> tuple[tuple[Group, ...], dict[str, str]]:
    """The groups of channels that something reads, and why the channels of the other layers stay.

    A channel is a set of atoms that are one. Channels that touch the same tensors alike form a group, which is
    named after the first layer that makes them. Raises what the forward pass raises.
    """
    traced = trace(model, example_inputs, last=last)
    channels = _channels(traced.atoms)
    reasons = _reasons(traced.atoms)
    groups: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
    for root, atoms in channels.items():
        if root not in reasons:
            families, counts = np.unique([family for family, _ in atoms], return_counts=True)
            groups[tuple(zip(families.tolist(), counts.tolist(), strict=True))].append(root)
    found, taken = [], set()
    for roots in groups.values():
        group = _group(model, traced, [channels[root] for root in roots], roots)
        if group is not None:
            base, number = group.name, 2
            while group.name in taken:
                group = Group(f"{base}/{number}", group.size, group.members)
                number += 1
            taken.add(group.name)
            found.append(group)
    return tuple(found), _dense(model, traced.atoms, channels, reasons)


def _channels(atoms: Atoms) -> dict[int, list[tuple[int, int]]]:
    """Root -> (family, index) of all its atoms, in the order of the families."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, family in enumerate(atoms.families):
        for index in range(family.size):
            found[atoms.root(family.start + index)].append((number, index))
    return found


def _reasons(atoms: Atoms) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for atom, reason in atoms.reasons.items():
        reasons.setdefault(atoms.root(atom), reason)
    return reasons


def _group(model: nn.Module, traced: Trace, channels: list[list[tuple[int, int]]], roots: list[int]) -> Group | None:
    """The group of these channels; None where no layer makes them or nothing reads them."""
    atoms = traced.atoms
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for channel, held in enumerate(channels):
        for number, index in held:
            places[number].append((index, channel))
    sides: dict[tuple[str, str], list[tuple[int, int]]] = {}
    product = any(atoms.families[number].start + i in atoms.products for held in channels for number, i in held)
    for number, held in places.items():
        family = atoms.families[number]
        read = any(family.start + index in atoms.read for index, _ in held)
        for holder in traced.holders[family.name]:  # a tensor that is shared is cut for all
            name, _, key = holder.rpartition(".")
            side = _side(model.get_submodule(name), key, family.dim, read)
            sides.setdefault((name, side), sorted(held))
    position = {root: channel for channel, root in enumerate(roots)}
    for name, vector in traced.bare_norms.items():
        held = [
            (i, position[atoms.root(int(a))]) for i, a in enumerate(vector) if a >= 0 and atoms.root(int(a)) in position
        ]
        if held:
            sides.setdefault((name, "out"), held)
    modules = dict(model.named_modules())
    made = [name for name, side in sides if side == "out" and layer_dims(modules[name]) is not None]
    if product and not any(_reads(side) for _, side in sides):
        sides |= {(name, PRODUCT): sides[(name, "out")] for name in made}
    if not made or not any(_reads(side) for _, side in sides):
        return None
    order = {name: k for k, name in enumerate(modules)}
    members = tuple(
        Member(name, side, torch.tensor([i for i, _ in held]), torch.tensor([c for _, c in held]))
        for (name, side), held in sides.items()
    )
    return Group(min(made, key=lambda name: order[name]), len(channels), members)


def _reads(side: str) -> bool:
    return side in ("in", PRODUCT) or side.endswith(":in")


def _side(module: nn.Module, key: str, dim: int, read: bool) -> str:
    """``out`` or ``in`` where the module has such a side, else the tensor and its dimension."""
    if can_slice(module):
        for side in ("out", "in") if layer_dims(module) else ("out",):
            if side_tensors(module, side).get(key) == dim:
                return side
    return f"{key}:{dim}:{'in' if read else 'out'}"


def _dense(
    model: nn.Module, atoms: Atoms, channels: dict[int, list[tuple[int, int]]], reasons: dict[int, str]
) -> dict[str, str]:
    """Layer -> why some of its output channels stay, by the trace alone."""
    found: dict[str, str] = {}
    modules = dict(model.named_modules())
    for family in atoms.families:
        name, _, key = family.name.rpartition(".")
        layer = layer_dims(modules[name])
        if layer is None or key != "weight" or family.dim != layer.out:
            continue
        for index in range(family.size):
            root = atoms.root(family.start + index)
            if root in reasons:
                found.setdefault(name, reasons[root])
    return found
