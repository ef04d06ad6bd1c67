"""Which channels must go together, and proof that they can.

Found by Torch-Pruning's dependency graph (Fang et al. 2023) or, where that leaves layers dense, by following
every channel through one forward pass (`strategies.tracing`). Neither is trusted: a group is offered only if the
network without some of its channels computes what its masked twin does.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from strategies.baking import is_plain, plain_copy
from strategies.granularity import graph, wiring
from strategies.granularity.groups import Coupling, Group, Member, kept_without
from strategies.granularity.proof import Prover
from strategies.layers import holders, is_torch_layer, layer_dims, prunable_layers, ties
from strategies.tracing.trace import OUTPUT

__all__ = ["Coupling", "Group", "Member", "couple", "kept_without"]

NO_WEIGHT = "its weight is made of other tensors before each forward pass, and is not counted"
UNREAD = "nothing that was followed reads its channels"


def couple(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> Coupling:
    """Find the coupled channels of ``model``, in the order of the layers that make them.

    The network's output channels are never offered: they are found from the trace, not from names. Input
    dimensions are not offered either: groups start at a layer's outputs. Every layer is in a group or in ``dense``;
    of layers that share a weight the first one, for all of them.
    """
    found = _couple(model, example_inputs)
    sharing = {name: others for name, (_, *others) in holders(model).items() if others}
    reasons = {
        name: f"shares its weight with {', '.join(sharing[name])}, and {reason}" if name in sharing else reason
        for name, reason in found.dense.items()
    }
    return Coupling(found.groups, reasons)


def _couple(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> Coupling:
    plain = (copy.deepcopy(model) if is_plain(model) else plain_copy(model)).cpu().eval()
    inputs = tuple(x.cpu() for x in example_inputs)
    prover = Prover(plain, inputs)
    library = _by_library(prover) if graph.fits(plain) and not ties(plain) else None  # it takes no two for one
    if library is not None and _settled(plain, library):
        return library
    followed = _by_following(prover)
    if not _settled(plain, followed):
        other = _by_following(prover, last=True)
        followed = other if _offered(plain, other) > _offered(plain, followed) else followed
    if library is None or _offered(plain, followed) > _offered(plain, library):
        return followed
    made = _made(plain, library)
    reasons = {name: reason for name, reason in followed.dense.items() if name not in made}
    return _complete(plain, Coupling(library.groups, library.dense | reasons))


def _by_library(prover: Prover) -> Coupling | None:
    """By Torch-Pruning; None where it raises or takes too long."""
    try:
        found = graph.find(prover.model, prover.inputs)
    except Exception:  # it raises whatever it likes
        return None
    modules = dict(prover.model.named_modules())
    candidates, dense = [], {}
    for group in found:
        unknown = [m.module for m in group.members if not graph.understood(modules[m.module])]
        if not group.consumed:
            dense[group.name] = OUTPUT
        elif unknown:
            dense[group.name] = f"coupled to {unknown[0]}, a kind of module that cannot be made smaller"
        else:
            candidates.append(group)
    groups, refused = prover.prove(tuple(candidates))
    return _coupling(prover.model, groups, dense | refused)


def _by_following(prover: Prover, *, last: bool = False) -> Coupling:
    try:
        found, dense = wiring.find(prover.model, prover.inputs, last=last)
    except Exception as problem:  # somebody's forward pass may raise whatever it likes
        reason = f"the forward pass cannot be followed: {(str(problem) or type(problem).__name__).splitlines()[0]}"
        return Coupling((), dict.fromkeys(prunable_layers(prover.model), reason))
    groups, refused = prover.prove(found)
    refused_layers = {
        member.module: refused[group.name]
        for group in found
        if group.name in refused
        for member in group.members
        if member.side == "out" and member.module in prunable_layers(prover.model)
    }
    coupling = _coupling(prover.model, groups, dense | refused_layers)
    return _complete(prover.model, coupling)


def _coupling(model: nn.Module, groups: tuple[Group, ...], dense: dict[str, str]) -> Coupling:
    order = {name: k for k, name in enumerate(dict(model.named_modules()))}
    return Coupling(tuple(sorted(groups, key=lambda group: order[group.name.partition("/")[0]])), dense)


def _made(model: nn.Module, coupling: Coupling) -> dict[str, int]:
    """Layer -> how many of its output channels are in a group."""
    layers = prunable_layers(model)
    found: dict[str, int] = {}
    for group in coupling.groups:
        for member in group.members:
            if member.side == "out" and member.module in layers:
                found[member.module] = found.get(member.module, 0) + len(member.indices)
    return found


def _offered(model: nn.Module, coupling: Coupling) -> int:
    return sum(_made(model, coupling).values())


def _settled(model: nn.Module, coupling: Coupling) -> bool:
    """Whether every layer is offered but one, which makes the output."""
    rest = [name for name in prunable_layers(model) if name not in _made(model, coupling)]
    return len(rest) == 1 and coupling.dense == {rest[0]: OUTPUT}


def _complete(model: nn.Module, coupling: Coupling) -> Coupling:
    touched = {
        m.module for group in coupling.groups for m in group.members if m.side == "out" or m.side.endswith(":out")
    }
    missing = {name: UNREAD for name in prunable_layers(model) if name not in touched | set(coupling.dense)}
    unknown = {
        name: NO_WEIGHT
        for name, module in model.named_modules()
        if is_torch_layer(module) and layer_dims(module) is None
    }
    return Coupling(coupling.groups, coupling.dense | missing | unknown)
