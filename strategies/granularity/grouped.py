"""Channels scored by all that goes with them, not by the filters that make them alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from strategies.allocation import Allocation
from strategies.base import Context, Criterion, Need, Removal, Scores
from strategies.granularity.channel import ChannelRanking, ChannelRemoval, channel
from strategies.granularity.coupling import Group, Member, couple
from strategies.layers import layer_dims
from strategies.slicing import side_width


@dataclass(frozen=True)
class GroupGranularity:
    """Groups of coupled channels, cut as those of `channel`, but scored by every member: what makes a channel, the
    norms behind it and what reads it (DepGraph, Fang et al. 2023)."""

    name: str = "group"
    needs: frozenset[Need] = frozenset()

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> ChannelRanking:
        # What is only held at zero is still wired as before.
        known = after.coupling if isinstance(after, ChannelRemoval) else None
        coupling = known or context.wiring.found_by(couple, context)
        raw = criterion(context)
        found: Scores = {}
        for group in coupling.groups:
            values = group_scores(group, context.generator, raw, criterion)
            if values is not None:
                _enter(found, group, values, context.generator)
        return channel.rank(context, replace(criterion, score=lambda _: found, reads=False), allocation, after)


def group_scores(group: Group, model: nn.Module, raw: Scores, criterion: Criterion) -> Tensor | None:
    """One score a channel, float64 ``(size,)``: the mean over the members of ``reduce`` of what is the channel's there.

    A channel's slice of a member are its raw values at all indices that belong to the channel: of a layer that makes
    it a filter, or several; of one that reads it all weights on its inputs, also where it is many inputs (behind a
    flattened image); of a norm its scale. A member without raw values does not count; one that has only some of the
    channels adds nothing to the others. None where no member has raw values.

    Raises:
        ValueError: raw values of another shape than the weight, with which what reads a channel cannot be told.
    """
    total, count = torch.zeros(group.size, dtype=torch.float64), 0
    for member in group.members:
        if member.module not in raw or member.side not in ("out", "in"):
            continue
        values = raw[member.module].detach().cpu().double()
        module = model.get_submodule(member.module)
        draws = values if criterion.draws else values[None]
        shape = cast(Tensor, module.weight).shape
        if draws.shape[1:] != shape:
            raise ValueError(
                f"criterion {criterion.name!r} gave {tuple(values.shape)} for {member.module}, "
                f"expected one raw value a weight {tuple(shape)}: a group is scored by what reads its channels as well"
            )
        held, slices = _slices(draws, member, _dim(module, member.side), group.size)
        total.index_add_(0, held, torch.stack([criterion.reduce(rows) for rows in slices]).mean(0))
        count += 1
    return total / count if count else None


def _dim(module: nn.Module, side: str) -> int:
    dims = layer_dims(module)
    if dims is None:
        return 0  # a norm: one scale a channel
    return dims.out if side == "out" else dims.into


def _slices(draws: Tensor, member: Member, dim: int, size: int) -> tuple[Tensor, Tensor]:
    """The channels that a member holds, and of each its raw values in the order of its indices.

    Returns:
        int64 ``(held,)``, and float64 ``(draws, held, values)``; channels of fewer indices than others end in zeros.
    """
    order = torch.argsort(member.indices, stable=True)
    order = order[torch.argsort(member.channels[order], stable=True)]
    indices, channels = member.indices[order], member.channels[order]
    counts = torch.bincount(channels, minlength=size)
    held = counts.nonzero().squeeze(1)
    rows = draws.movedim(1 + dim, 1).reshape(len(draws), draws.shape[1 + dim], -1)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(channels)) - first[channels]
    found = rows.new_zeros(len(rows), size, int(counts.max()), rows.shape[2])
    found[:, channels, place] = rows[:, indices]
    return held, found[:, held].flatten(2)


def _enter(found: Scores, group: Group, values: Tensor, model: nn.Module) -> None:
    """Give each layer that makes channels of ``group`` their scores, by output: what `channel` takes for its own."""
    for member in group.members:
        module = model.get_submodule(member.module)
        if member.side == "out" and layer_dims(module) is not None:
            width = side_width(module, "out")
            scores = found.setdefault(member.module, torch.full((width,), torch.nan, dtype=torch.float64))
            scores[member.indices] = values[member.channels]


group = GroupGranularity()
