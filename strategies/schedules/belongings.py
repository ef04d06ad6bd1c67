"""All that goes with a unit, for schedules that shrink units before they cut them, or change what is left."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from strategies.base import Diverged, NotApplicable, Removal
from strategies.composition import Strategy
from strategies.granularity.channel import ChannelGranularity, ChannelRemoval
from strategies.granularity.coupling import Group
from strategies.granularity.grouped import GroupGranularity
from strategies.granularity.weight import WeightGranularity, WeightRemoval
from strategies.slicing import cuts, side_tensors, side_width

CHANNELS = (ChannelGranularity, GroupGranularity)
"""The granularities whose units are groups of coupled channels."""
UNITS = (WeightGranularity, *CHANNELS)


def require(
    strategy: Strategy, kinds: tuple[type[WeightGranularity | ChannelGranularity | GroupGranularity], ...]
) -> None:
    """Raises `NotApplicable` for a strategy of a granularity other than ``kinds``."""
    if not isinstance(strategy.granularity, kinds):
        names = " or ".join(kind().name for kind in kinds)
        assert strategy.schedule is not None
        raise NotApplicable(f"{strategy.schedule.name} acts on units of {names}, not of {strategy.granularity.name}")


def require_finite(model: nn.Module) -> None:
    """Raises `Diverged` where the model has weights that are not finite."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise Diverged(f"the weights of {name} are no longer finite")


def places(model: nn.Module, removal: Removal) -> dict[str, Tensor]:
    """Parameter -> flat int64 indices, in row-major order, of what stays of it; those that stay whole are not in it.

    Of a channel everything goes: the filter that makes it, its bias, its norm, and what reads it.
    """
    if isinstance(removal, WeightRemoval):
        return {f"{name}.weight": mask.flatten().nonzero().squeeze(1) for name, mask in removal.masks.items()}
    assert isinstance(removal, ChannelRemoval)  # see `require`
    selected = cuts(model, removal.kept(model))
    return {
        name: selected[name](torch.arange(parameter.numel()).view(parameter.shape)).flatten()
        for name, parameter in model.named_parameters()
        if name in selected
    }


def going(model: nn.Module, removal: Removal) -> dict[str, Tensor]:
    """Parameter -> bool of its shape, True at the entries that go with ``removal``."""
    found = {}
    parameters = dict(model.named_parameters())
    for name, stays in places(model, removal).items():
        gone = torch.ones(parameters[name].numel(), dtype=torch.bool).index_fill_(0, stays, False)
        found[name] = gone.view(parameters[name].shape)
    return found


@dataclass(frozen=True)
class Part:
    """What the channels of one group have of one parameter: ``indices[k]`` along ``dim`` is of ``channels[k]``."""

    parameter: str
    dim: int
    indices: Tensor
    channels: Tensor


def parts(model: nn.Module, group: Group) -> tuple[Part, ...]:
    """The parameters that the channels of ``group`` have a share of; one that several modules hold comes once.

    Without the inputs of a grouped convolution, whose weight does not have one column for each.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held: dict[tuple[str, int], str] = {}
    found = []
    for member in group.members:
        module = model.get_submodule(member.module)
        for key, dim in side_tensors(module, member.side).items():
            parameter = module._parameters.get(key)
            if parameter is None:
                continue  # running statistics are no weights
            name = names[id(parameter)]
            whole = side_width(module, member.side) == parameter.shape[dim]
            if whole and held.setdefault((name, dim), member.module) == member.module:
                found.append(Part(name, dim, member.indices, member.channels))
    return tuple(found)
