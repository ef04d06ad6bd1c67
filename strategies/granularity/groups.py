"""Channels that go together: the words in which a coupling is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from strategies.base import Kept
from strategies.slicing import PRODUCT, side_width


@dataclass(frozen=True)
class Member:
    """One side of one module: ``indices[k]`` of it belongs to channel ``channels[k]`` of the group."""

    module: str
    side: str
    """``out`` (makes the channel, or normalises it), ``in`` (reads it), or another side, see `strategies.slicing`."""
    indices: Tensor
    channels: Tensor

    @property
    def reads(self) -> bool:
        """Whether this side reads the channels; so does a partner in a product."""
        return self.side in ("in", PRODUCT) or self.side.endswith(":in")


@dataclass(frozen=True)
class Group:
    """Channels ``0 .. size-1`` that several modules share: removing one removes it from every member."""

    name: str
    size: int
    members: tuple[Member, ...]

    @property
    def consumed(self) -> bool:
        """Whether anything reads the channels. What nothing reads is the network's output."""
        return any(member.reads for member in self.members)


@dataclass(frozen=True)
class Coupling:
    """The groups that may be pruned, and why the others may not."""

    groups: tuple[Group, ...]
    dense: dict[str, str]
    """Layer or group name -> reason why its channels stay."""


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
        stays = torch.ones(side_width(model.get_submodule(name), side), dtype=torch.bool)
        stays[torch.cat(indices)] = False
        kept.setdefault(name, {})[side] = stays.nonzero().squeeze(1)
    return kept
