"""A strategy under constraints: the same scores and priorities, but some units never go, some always, some in packs.

A constrained ranking is still one nested order. Its units are packs (single weights, or the channels that take a group
from one allowed width to the next); a pack has the mean priority of its members, and the packs of a group go in the
order of its channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from strategies.allocation import Layout, Priorities, Scored
from strategies.base import Context, Infeasible, NotApplicable, Ranking, Removal, Target
from strategies.composition import Granularity, Strategy
from strategies.constraints import FOR_CHANNELS, Constraints, Contradiction, nearby
from strategies.granularity.channel import ChannelGranularity, ChannelRanking, ChannelRemoval
from strategies.granularity.coupling import couple
from strategies.granularity.grouped import GroupGranularity
from strategies.granularity.groups import Group
from strategies.granularity.weight import WeightGranularity, WeightRanking, WeightRemoval
from strategies.layers import holders, layer_uses
from strategies.sorting import stable_order

ALWAYS, NEVER = -1.0, torch.inf
"""Places of units that are in no pack: gone at every level, and at none."""

SHOWN = 5e-5
"""Half of the last digit of a share in a message: what it says can be reached can be asked for."""


class OutOfReach(Infeasible):
    """The constraints leave no network of this size; ``maximum`` is the share nearest to it that one has."""

    def __init__(self, requested: float, possible: float, target: Target, constraints: Constraints) -> None:
        super().__init__(requested, possible, target)
        if requested > possible:
            said = f"cannot be removed with {constraints.words}; the maximum is {possible:.4f}"
        else:
            said = f"is less than what always goes with {constraints.words}; the minimum is {possible:.4f}"
        self.args = (f"{requested:g} of {target} {said}",)


def constrained(strategy: Strategy, constraints: Constraints) -> Strategy:
    """``strategy`` under ``constraints``, with their label behind its name; itself where there are none.

    Raises:
        ValueError: a sentence, where they say nothing about what the strategy removes.
    """
    if not constraints:
        return strategy
    if reason := refusal(strategy, constraints):
        raise ValueError(reason)
    parts = {field: getattr(strategy, field) for field in strategy.__dataclass_fields__}
    return Constrained(**parts | {"name": strategy.name + constraints.label}, constraints=constraints)


def refusal(strategy: Strategy, constraints: Constraints) -> str:
    """Why ``strategy`` cannot be put under ``constraints``, as a sentence; empty where it can."""
    kind: Granularity = strategy.granularity
    if isinstance(kind, ChannelGranularity | GroupGranularity):
        return ""
    if not isinstance(kind, WeightGranularity):
        return (
            f"{strategy.name!r} removes units of {kind.name}: constraints are for strategies that remove single "
            "weights or channels."
        )
    widths = [key for key in FOR_CHANNELS if getattr(constraints, key) is not None]
    if widths:
        return (
            f"{strategy.name!r} removes single weights, which leave every width as it is: {widths[0]} is for channels."
        )
    return ""


@dataclass(frozen=True)
class Constrained(Strategy):
    """A strategy whose rankings obey ``constraints``; made by `constrained`."""

    constraints: Constraints = field(default_factory=Constraints)

    def rank(self, context: Context, after: Removal | None = None) -> Ranking:
        """Score once, as the strategy does.

        Raises:
            NotApplicable: also where a pattern matches no layer, or two constraints meet in one group of channels.
        """
        packs: list[Tensor] = []

        def prioritise(scores: Scored, layout: Layout) -> Priorities:
            priorities = self.allocation(scores, layout)
            try:
                places, keys = placed(priorities, _stops(self, priorities, layout.context, after), _gone(after))
            except Contradiction as error:
                raise NotApplicable(str(error).removesuffix(".")) from error
            packs.append(keys)
            return places

        values = {name: getattr(self, name) for name in Strategy.__dataclass_fields__}
        bare = Strategy(**values | {"allocation": replace(self.allocation, prioritise=prioritise)})
        ranking = bare.rank(context, after)
        assert isinstance(ranking, WeightRanking | ChannelRanking)  # see `refusal`
        return ConstrainedRanking(ranking, packs[0], self.constraints)


@dataclass(frozen=True)
class ConstrainedRanking:
    """Packs in the order in which they go, on top of what always goes."""

    ranking: WeightRanking | ChannelRanking
    """Its priorities are the places of the packs: of each unit the number of packs before its own."""
    keys: Tensor
    """The priority of each pack, rising."""
    constraints: Constraints

    def cut(self, sparsity: float, target: Target) -> Removal:
        """The allowed removal nearest to ``sparsity``. Raises `OutOfReach`."""
        found: dict[int, tuple[Removal, float]] = {}

        def share(count: int) -> float:
            if count not in found:
                found[count] = self._first(count, target)
            return found[count][1]

        low, high = 0, len(self.keys)
        if sparsity > share(high) + SHOWN:
            raise OutOfReach(sparsity, share(high), target, self.constraints)
        if sparsity < share(low) - SHOWN:
            raise OutOfReach(sparsity, share(low), target, self.constraints)
        guess = True  # shares rise with the count, of single weights in equal steps
        while high - low > 1:
            middle = (low + high) // 2
            if guess and share(high) > share(low):
                middle = low + int((high - low) * (sparsity - share(low)) / (share(high) - share(low)))
            middle = min(max(middle, low + 1), high - 1)
            low, high = (middle, high) if share(middle) < sparsity else (low, middle)
            guess = not guess
        return found[min((low, high), key=lambda count: abs(share(count) - sparsity))][0]

    def at(self, value: float) -> Removal:
        """What always goes, and every pack with a lower priority."""
        return self.ranking.at(int((self.keys < value).sum()))

    def restored(self, state: dict[str, object]) -> Removal:
        """The removal whose `state` this is."""
        return self.ranking.restored(state)

    def _first(self, count: int, target: Target) -> tuple[Removal, float]:
        """What is gone with the first ``count`` packs, and which share that is, as a record counts it."""
        removal = self.ranking.at(count)
        if isinstance(self.ranking, ChannelRanking) and isinstance(removal, ChannelRemoval) and target == "macs":
            removal = replace(removal, shares={**removal.shares, "macs": self.ranking.counted(removal)})
        return removal, removal.sparsity(target)


def placed(
    priorities: Mapping[str, Tensor], stops: Mapping[str, Sequence[int]], gone: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Tensor]:
    """The place of each unit in the constrained order, and the priority of each pack.

    Args:
        priorities: layer or group -> one priority a unit.
        stops: layer or group -> the numbers of its units that may be gone, rising.
        gone: layer or group -> bool, True for units that are gone already; they come before all others.

    Returns:
        Layer or group -> float64 of the same shape: how many packs go before the unit's own, `ALWAYS` or `NEVER`; and
        the packs' priorities, float64 and rising.
    """
    found = {name: torch.full((len(values),), NEVER, dtype=torch.float64) for name, values in priorities.items()}
    units: list[tuple[str, Tensor, Tensor]] = []
    keys: list[Tensor] = []
    for name, given in priorities.items():
        values = given.double()
        if name in gone:
            values = values.masked_fill(gone[name], -torch.inf)
        order = stable_order(values)
        steps = torch.tensor(stops[name]) if not isinstance(stops[name], range) else torch.arange(len(stops[name]))
        first, last = int(steps[0]), int(steps[-1])
        found[name][order[:first]] = ALWAYS
        members = order[first:last]
        pack = torch.searchsorted(steps, torch.arange(first, last), right=True) - 1
        units.append((name, members, pack))
        keys.append(_means(values[members], pack, len(steps) - 1))
    joined = torch.cat(keys)
    order = stable_order(joined)
    place = torch.empty(len(joined), dtype=torch.float64)
    place[order] = torch.arange(len(joined), dtype=torch.float64)
    before = 0
    for (name, members, pack), own in zip(units, keys, strict=True):
        found[name][members] = place[before + pack]
        before += len(own)
    return found, joined[order]


def _means(values: Tensor, pack: Tensor, count: int) -> Tensor:
    """Mean of each pack, never lower than that of the pack before it, whatever rounding does to equals."""
    if count == len(values):
        return values
    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, pack, values)
    means = (sums / torch.bincount(pack, minlength=count)).nan_to_num(nan=-torch.inf)
    return torch.cummax(means, 0).values


def _stops(
    strategy: Constrained, priorities: Priorities, context: Context, after: Removal | None
) -> dict[str, Sequence[int]]:
    """Layer or group -> the numbers of its units that may be gone. Raises `Contradiction`."""
    constraints, model = strategy.constraints, context.generator
    names = list(layer_uses(model))
    for key, pattern in constraints.unmatched(names):
        raise Contradiction(f"{key}: {pattern!r} matches no layer. {nearby(pattern, names)}")
    held = holders(model)
    if isinstance(strategy.granularity, WeightGranularity):
        return {name: constraints.stops(held[name], len(values)) for name, values in priorities.items()}
    coupling = after.coupling if isinstance(after, ChannelRemoval) else context.wiring.found_by(couple, context)
    makers = {group.name: _makers(group, held) for group in coupling.groups}
    return {name: constraints.stops(makers[name], len(values), stays=1) for name, values in priorities.items()}


def _makers(group: Group, held: Mapping[str, Sequence[str]]) -> list[str]:
    """The layers that make the channels of a group, with those that use the same weights, in the network's order."""
    made = {member.module for member in group.members if member.side == "out" or member.side.endswith(":out")}
    return [name for owner, names in held.items() if owner in made for name in names]


def _gone(after: Removal | None) -> dict[str, Tensor]:
    """Layer or group -> True for units that ``after`` removed."""
    if isinstance(after, WeightRemoval):
        return {name: ~mask.reshape(-1) for name, mask in after.masks.items()}
    if isinstance(after, ChannelRemoval):
        sizes = {group.name: group.size for group in after.coupling.groups}
        found = {name: torch.zeros(sizes[name], dtype=torch.bool) for name in after.removed}
        return {name: found[name].index_fill(0, gone, True) for name, gone in after.removed.items()}
    return {}
