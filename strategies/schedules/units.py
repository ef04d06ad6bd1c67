"""The weights behind what a removal removes, for schedules that change them without removing them yet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strategies.base import NotApplicable, Removal
from strategies.composition import Strategy
from strategies.granularity.channel import ChannelGranularity, ChannelRemoval
from strategies.granularity.weight import WeightGranularity, WeightRemoval
from strategies.layers import out_dim, prunable_layers


def require(strategy: Strategy, *kinds: type[WeightGranularity] | type[ChannelGranularity]) -> None:
    """Raises `NotApplicable` for a strategy of a granularity other than ``kinds``."""
    if not isinstance(strategy.granularity, kinds):
        names = " or ".join(kind().name for kind in kinds)
        assert strategy.schedule is not None
        raise NotApplicable(f"{strategy.schedule.name} acts on units of {names}, not of {strategy.granularity.name}")


def entries(model: nn.Module, removal: Removal) -> dict[str, Tensor]:
    """Layer -> bool of its weight's shape, True at the removed weights or at the filters that make removed channels."""
    layers = prunable_layers(model)
    if isinstance(removal, WeightRemoval):
        return {name: ~mask for name, mask in removal.masks.items()}
    assert isinstance(removal, ChannelRemoval)  # see `require`
    found = {}
    for name, sides in removal.kept(model).items():
        if "out" in sides and name in layers:
            gone = torch.ones(layers[name].weight.shape, dtype=torch.bool)
            found[name] = gone.index_fill_(out_dim(layers[name]), sides["out"].cpu(), False)
    return found


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Layer -> the weight that is trained."""
    return {name: layer.weight for name, layer in prunable_layers(model).items()}


@torch.no_grad()
def forget(optimizer: torch.optim.Optimizer, parameter: Tensor, where: Tensor) -> None:
    """Zero the optimizer's running moments of the entries ``where`` of ``parameter``."""
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value.masked_fill_(where.to(value.device), 0.0)
