"""Whole channels (neurons of a linear layer): tensors become smaller, and so does the work."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from strategies.allocation import Allocation, Layout
from strategies.baking import plain, require_plain
from strategies.base import (
    Context,
    Criterion,
    Infeasible,
    Kept,
    Need,
    NotApplicable,
    Pruned,
    Removal,
    Scores,
    Target,
)
from strategies.granularity.coupling import Coupling, Group, couple, kept_without
from strategies.granularity.units import layer_cuts, nearest
from strategies.layers import in_dim, out_dim, prunable_layers, weight_widths
from strategies.slicing import shrink, silence, twin_error
from strategies.tracing.trace import OUTPUT
from strategies.work import work_of

FORECAST_ERROR = 1e-9
"""By how much a forecast share of MACs may differ from the counted one: only rounding."""

TWIN_TOLERANCE = 1e-9
"""Largest difference between a compact network and its masked twin, relative to the largest output."""


class TwinMismatch(RuntimeError):
    """A compact network does not compute what the dense one computes without the removed channels."""


@dataclass(frozen=True)
class ChannelRemoval:
    """Channels that go: ``removed[group name]`` holds their indices."""

    coupling: Coupling
    removed: dict[str, Tensor]
    example_inputs: tuple[Tensor, ...]
    shares: Mapping[Target, float]

    def kept(self, model: nn.Module) -> Kept:
        """Kept indices of every module that loses any."""
        return kept_without(model, self.coupling.groups, self.removed)

    def hold(self, model: nn.Module) -> None:
        require_plain(model)
        silence(model, self.kept(model))

    def apply(self, model: nn.Module) -> Pruned:
        """Cut, then compare with the masked twin. Raises `TwinMismatch`."""
        model = plain(model)
        kept = self.kept(model)
        compact = shrink(model, kept)
        error = twin_error(model, compact, kept, self.example_inputs)
        if not error <= TWIN_TOLERANCE:
            raise TwinMismatch(
                f"the compact network differs from the dense one with the same channels silenced by {error:.1e} "
                f"of the largest output, more than {TWIN_TOLERANCE:.0e}: its channels are coupled in a way "
                "that the trace did not show"
            )
        cuts = layer_cuts(model, compact, notes=self.coupling.dense)
        return Pruned(compact, cuts, kept=kept)

    def sparsity(self, target: Target) -> float:
        return self.shares[target]

    def state(self) -> dict[str, Any]:
        """What `ChannelRanking.restored` makes it from."""
        return {"removed": dict(self.removed), "shares": dict(self.shares)}


@dataclass(frozen=True)
class ChannelRanking:
    """All removable channels in the order in which they go.

    The channel with the highest priority of each group is never in the order: one stays everywhere.
    """

    coupling: Coupling
    order: tuple[tuple[int, int], ...]
    """(group, channel), first to go first."""
    priorities: NDArray[np.float64]
    shares: dict[Target, NDArray[np.float64]]
    """Share of parameters or MACs that is gone after each prefix of the order; ``[0]`` is the empty one.

    Of MACs it is a forecast: products of no weight, as in attention, become fewer as well.
    """
    example_inputs: tuple[Tensor, ...]
    counted: Callable[[ChannelRemoval], float]
    """The share of all MACs that is gone with a removal, counted on the smaller network."""

    def cut(self, sparsity: float, target: Target) -> ChannelRemoval:
        if target == "macs":
            return self._by_macs(sparsity)
        return self._first(nearest(self.shares[target], sparsity, target))

    def _by_macs(self, sparsity: float) -> ChannelRemoval:
        """The prefix whose network has the MACs nearest to the target, as the record counts them."""
        forecast, most = self.shares["macs"], len(self.order)
        found: dict[int, ChannelRemoval] = {}

        def share(count: int) -> float:
            if count not in found:
                removal = self._first(count)
                found[count] = replace(removal, shares={**removal.shares, "macs": self.counted(removal)})
            return found[count].sparsity("macs")

        count = int(np.abs(forecast - sparsity).argmin())
        if abs(share(count) - forecast[count]) > FORECAST_ERROR:
            if share(most) < sparsity:
                raise Infeasible(sparsity, share(most), "macs")
            low, high = 0, most  # no network has more MACs than one with more channels
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if share(middle) < sparsity else (low, middle)
            return found[min((low, high), key=lambda k: abs(share(k) - sparsity))]
        return self._first(nearest(forecast, sparsity, "macs"))

    def at(self, value: float) -> ChannelRemoval:
        return self._first(int((self.priorities < value).sum()))

    def restored(self, state: dict[str, Any]) -> ChannelRemoval:
        """The removal whose `state` this is."""
        return ChannelRemoval(self.coupling, state["removed"], self.example_inputs, state["shares"])

    def _first(self, count: int) -> ChannelRemoval:
        removed: dict[str, list[int]] = {group.name: [] for group in self.coupling.groups}
        for group, channel in self.order[:count]:
            removed[self.coupling.groups[group].name].append(channel)
        return ChannelRemoval(
            self.coupling,
            {name: torch.tensor(sorted(gone), dtype=torch.long) for name, gone in removed.items()},
            self.example_inputs,
            {target: float(shares[count]) for target, shares in self.shares.items()},
        )


@dataclass(frozen=True)
class ChannelGranularity:
    """Groups of coupled channels, removed together wherever they are made, normalised and read."""

    name: str = "channel"
    needs: frozenset[Need] = frozenset()

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> ChannelRanking:
        scores = criterion(context)
        if isinstance(after, ChannelRemoval):  # what is only held at zero is still wired as before
            coupling = after.coupling
        else:
            coupling = context.wiring.found_by(couple, context)
        found = {group.name: channel_scores(group, context.generator, scores, criterion) for group in coupling.groups}
        scored = {name: values for name, values in found.items() if values is not None}
        if not coupling.groups:
            reasons = dict.fromkeys(reason for reason in coupling.dense.values() if reason != OUTPUT)
            raise NotApplicable("; ".join(["no group of channels can be removed", *list(reasons)[:3]]))
        if not scored:
            raise NotApplicable(f"no group of channels has a score by {criterion.name!r}")
        for name, values in scored.items():
            if torch.isnan(values).any():
                raise ValueError(f"criterion {criterion.name!r} gave scores for {name} that are not numbers")
        unscored = {name: f"has no score by {criterion.name}" for name in found if name not in scored}
        coupling = Coupling(tuple(g for g in coupling.groups if g.name in scored), coupling.dense | unscored)
        priorities = allocation(scored, _layout(coupling, context))
        if isinstance(after, ChannelRemoval):
            for name, gone in after.removed.items():
                priorities[name] = priorities[name].index_fill(0, gone, -torch.inf)
        return _ranking(coupling, priorities, context)


def channel_scores(group: Group, model: nn.Module, scores: Scores, criterion: Criterion) -> Tensor | None:
    """One score a channel, float64 ``(size,)``: the mean over the members that make it and have a score.

    Scores of a weight's shape are first reduced over each channel's filter by the criterion's ``reduce``; where it
    ``reads``, the score comes from the layers that read the channel, if all of them have raw values.
    """
    modules = dict(model.named_modules())
    if criterion.reads and (read := _read_scores(group, modules, scores, criterion)) is not None:
        return read
    total, count = torch.zeros(group.size, dtype=torch.float64), torch.zeros(group.size, dtype=torch.float64)
    for member in group.members:
        if member.side != "out" or member.module not in scores:
            continue
        values = scores[member.module].detach().cpu().double()
        if values.ndim > 1:
            values = criterion.of_channels(values, out_dim(modules[member.module]))
        total.index_add_(0, member.channels, values[member.indices])
        count.index_add_(0, member.channels, torch.ones(len(member.channels), dtype=torch.float64))
    return total / count if (count > 0).all() else None


def _read_scores(group: Group, modules: Mapping[str, nn.Module], scores: Scores, criterion: Criterion) -> Tensor | None:
    """One score a channel from what reads it; None where a reader has no raw values for each of its inputs."""
    total: Tensor | None = None
    for member in group.members:
        if member.side != "in":
            continue
        if member.module not in scores:
            return None
        module = modules[member.module]
        sums = criterion.of_inputs(scores[member.module].detach().cpu(), in_dim(module))
        if int(member.indices.max()) >= sums.shape[1]:
            return None  # a grouped layer, whose weight has fewer inputs than it reads
        if total is None:
            total = torch.zeros(len(sums), group.size, dtype=torch.float64)
        total.index_add_(1, member.channels, sums[:, member.indices])
    return None if total is None else criterion.unit(total).mean(0)


def _layout(coupling: Coupling, context: Context) -> Layout:
    """What allocations may know: each group has the shape of the first layer that makes it."""
    groups = {group.name: group for group in coupling.groups}
    layers = prunable_layers(context.generator)

    def shape(group: Group) -> torch.Size:
        made = [m.module for m in group.members if m.side == "out" and m.module in layers]
        return layers[made[0]].weight.shape if made else torch.Size([group.size])

    def without(name: str, gone: Tensor) -> nn.Module:
        model = copy.deepcopy(context.generator)
        silence(model, kept_without(model, (groups[name],), {name: gone}))
        return model

    return Layout(context, {name: shape(group) for name, group in groups.items()}, without)


def _ranking(coupling: Coupling, priorities: dict[str, Tensor], context: Context) -> ChannelRanking:
    units: list[tuple[float, int, int]] = []
    for index, group in enumerate(coupling.groups):
        values = priorities[group.name]
        last = int(torch.argsort(values, stable=True)[-1])
        units += [(float(values[c]), index, c) for c in range(group.size) if c != last]
    units.sort()
    order = tuple((group, channel) for _, group, channel in units)
    return ChannelRanking(
        coupling,
        order,
        np.array([priority for priority, _, _ in units]),
        _shares(coupling, order, context),
        context.example_inputs,
        lambda removal: _counted(removal, context),
    )


def _counted(removal: ChannelRemoval, context: Context) -> float:
    small = shrink(context.generator, removal.kept(context.generator))
    return 1 - work_of(small, context.example_inputs).total / context.work.total


def _shares(
    coupling: Coupling, order: tuple[tuple[int, int], ...], context: Context
) -> dict[Target, NDArray[np.float64]]:
    """Closed form: a layer with ``o`` of its outputs and ``i`` of its inputs left has ``o * i * kernel`` weights."""
    layers = prunable_layers(context.generator)
    column = {name: k for k, name in enumerate(layers)}
    starts = np.cumsum([0, *(group.size for group in coupling.groups)])
    # What each channel, once gone, takes from the outputs and inputs of each layer.
    takes = {side: np.zeros((starts[-1], len(layers))) for side in ("out", "in")}
    for start, group in zip(starts, coupling.groups, strict=False):
        for member in group.members:
            if member.module in column and member.side in takes:
                counts = torch.bincount(member.channels, minlength=group.size).numpy()
                takes[member.side][start : start + group.size, column[member.module]] += counts
    rows = np.array([starts[group] + channel for group, channel in order], dtype=np.intp)
    gone = {
        side: np.concatenate([np.zeros((1, len(layers))), values[rows].cumsum(0)]) for side, values in takes.items()
    }
    width = np.array([weight_widths(layer) for layer in layers.values()], dtype=np.float64)
    weights = np.array([layer.weight.numel() for layer in layers.values()], dtype=np.float64)
    work = context.work
    uses = np.array([work.per_entry(name) for name in layers], dtype=np.float64)
    left = (1 - gone["out"] / width[:, 0]) * (1 - gone["in"] / width[:, 1]) * weights
    return {
        "params": 1 - left.sum(1) / weights.sum(),
        "macs": 1 - (left @ uses + work.outside) / work.total,
    }


channel = ChannelGranularity()
