"""Proof that channels can go: the network without them computes what its masked twin does."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from strategies.granularity.groups import Group, Member, kept_without
from strategies.layers import is_own
from strategies.slicing import shrink, twin_error

PROBE_TOLERANCE = 1e-9
RANDOM_TRIES = 3
LIMIT_SECONDS = 1800.0
"""A proof takes eight forward passes in float64 where all is well. Which of many groups is unsound may take
hundreds; with a large network that has to end."""

NO_CHANNELS = re.compile(
    r"kernel|stride|pad|dilat|class|layer|depth|resol|im(g|age)|height|width|latent", re.IGNORECASE
)
"""Attributes of such a name hold something else, whatever their value."""

OUTPUTS = re.compile(r"out|filter", re.IGNORECASE)
INPUTS = re.compile(r"(^|_)(c|n|num|dim)?_?in(_|put|c|f|$)", re.IGNORECASE)
"""Attributes whose name says on which side of their module they are."""


@dataclass(frozen=True)
class Prover:
    """Tries removals on a network whose weights are all plain, until its time is over."""

    model: nn.Module
    inputs: tuple[Tensor, ...]
    limit: float = LIMIT_SECONDS
    """Seconds from its making; no try is begun after them."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def late(self) -> str:
        """Why nothing more is tried; empty while there is time."""
        over = time.monotonic() - self.begun > self.limit
        return f"not proven to go within {self.limit:g} s" if over else ""

    def prove(self, groups: tuple[Group, ...]) -> tuple[tuple[Group, ...], dict[str, str]]:
        """The groups that can be pruned, each by itself and all together, and why the others cannot."""
        refused = {group.name: "has a single channel" for group in groups if group.size < 2}
        candidates = [group for group in groups if group.size > 1]
        proven = self._sound(candidates, refused)
        if proven is not candidates and self._together(proven) is not None:
            accepted: list[Group] = []
            for group in proven:
                problem = self.late or self._together([*accepted, group])
                if problem is None:
                    accepted.append(group)
                else:
                    refused[group.name] = f"not together with other groups: {problem}"
            proven = accepted
        return tuple(proven), refused

    def _sound(self, groups: list[Group], refused: dict[str, str], tries: int = RANDOM_TRIES + 1) -> list[Group]:
        """``groups`` itself where it holds; where it does not, those that hold in halves and quarters of it.

        Halves are tried once each, to find who is unsound: what is left of all is proven in full when it is together.
        """
        if late := self.late:
            refused |= {group.name: late for group in groups}
            return []
        if not groups or self._together(groups, tries) is None:
            return groups
        if len(groups) > 1:
            half = len(groups) // 2
            return self._sound(groups[:half], refused, 1) + self._sound(groups[half:], refused, 1)
        found = self._alone(groups[0])
        if isinstance(found, str):
            refused[groups[0].name] = found
            return []
        return [found]

    def _alone(self, group: Group) -> Group | str:
        """The group, with the attributes that must follow it; or why its first channel cannot go.

        A reshape that fixes a width, or weights made in the forward pass, show only when the smaller network runs.
        """
        for attributes in self._attributes(group):
            wider = replace(group, members=(*group.members, *attributes))
            if self._together([wider]) is None:
                return wider
        return self._try((group,), {group.name: torch.tensor([0])}) or str(self._together([group]))

    def _together(self, groups: list[Group], most: int = RANDOM_TRIES + 1) -> str | None:
        """Some channels of each, as chance has it, and all but one: what holds for few need not hold for many.

        Of these tries the first ``most``.

        Other numbers for each group, so that widths that only have to be equal do not happen to be.
        """
        if not groups:
            return None
        rng = torch.Generator().manual_seed(0)

        def some(group: Group) -> Tensor:
            count = int(torch.randint(0, group.size, (1,), generator=rng))
            return torch.randperm(group.size, generator=rng)[:count]

        tries = [{g.name: some(g) for g in groups} for _ in range(RANDOM_TRIES)]
        tries.append({g.name: torch.arange(g.size - 1) for g in groups})
        tries = tries[:most]
        return next((found for removed in tries if (found := self._try(tuple(groups), removed)) is not None), None)

    def _try(self, groups: tuple[Group, ...], removed: dict[str, Tensor]) -> str | None:
        """Why these channels cannot go, or None."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is tried and not kept need not worry anybody
                kept = kept_without(self.model, groups, removed)
                error = twin_error(self.model, shrink(self.model, kept), kept, self.inputs)
        except Exception as problem:  # somebody's forward pass may raise whatever it likes
            return f"cannot be made smaller: {(str(problem) or type(problem).__name__).splitlines()[0]}"
        if error > PROBE_TOLERANCE:
            return f"without some of its channels it differs from its masked twin by {error:.1e}"
        return None

    def _attributes(self, group: Group) -> Iterator[tuple[Member, ...]]:
        """Whole numbers that may hold the group's number of channels: of its modules, then of those around them.

        A forward pass that says ``view(batch, self.out_channels, ...)`` needs them true.
        """
        own = _unique(m for member in group.members for m in self._of(member, member.module, by_side=True))
        made = tuple(m for m in own if (m.module, "out") in {(n.module, n.side) for n in group.members})
        yield from (found for found in (own, made) if found)
        for by_side in (True, False):
            around = _unique(
                m
                for member in group.members
                for name in _ancestors(member.module)
                for m in self._of(member, name, by_side=by_side)
            )
            if around:
                yield _unique((*own, *around))
                yield around
        shaped = _unique(
            m
            for member in group.members
            for name in _ancestors(member.module)
            for m in self._numbers_of_channels(group, name)
        )
        likely = tuple(member for member in shaped if not NO_CHANNELS.search(member.side))
        if len(likely) > 1:
            yield likely
        yield from ((one,) for one in sorted(shaped, key=lambda member: member not in likely))

    def _numbers_of_channels(self, group: Group, name: str) -> Iterator[Member]:
        """Where a module around a member, or one without weights in there, may hold how many channels the group has.

        A linear layer that is viewed as an image has many outputs for each channel, and only the view says how many
        channels they are: ``view(batch, self.channels, 4, 4)``, ``Unflatten(1, (channels, 4, 4))``.
        """
        module = self.model.get_submodule(name)
        inside = {f"{name}.{key}" if name else key: child for key, child in module.named_children()}
        bare = {key: child for key, child in inside.items() if not list(child.parameters())}
        every = torch.arange(group.size)
        for place, holder in {name: module, **bare}.items():
            if not is_own(holder) and not isinstance(holder, nn.Unflatten):
                continue
            for key, value in vars(holder).items():
                if key.startswith("_"):
                    continue
                if type(value) is int and value == group.size:
                    yield Member(place, f".{key}", every, every)
                elif isinstance(value, tuple | list) and all(type(x) is int for x in value) and group.size in value:
                    yield Member(place, f".{key}[{value.index(group.size)}]", every, every)

    def _of(self, member: Member, name: str, *, by_side: bool) -> Iterator[Member]:
        module = self.model.get_submodule(name)
        if not is_own(module) or member.side.startswith("."):
            return
        width = len(member.indices)
        for key, value in vars(module).items():
            if type(value) is not int or value != width or NO_CHANNELS.search(key) or key.startswith("_"):
                continue
            if by_side and (INPUTS if member.side == "out" else OUTPUTS).search(key):
                continue
            order = torch.argsort(member.indices)
            yield Member(name, f".{key}", torch.arange(width), member.channels[order])


def _ancestors(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(len(parts) - 1, -1, -1)] if name else []


def _unique(members: Iterator[Member] | tuple[Member, ...]) -> tuple[Member, ...]:
    found: dict[tuple[str, str], Member] = {}
    for member in members:
        found.setdefault((member.module, member.side), member)
    return tuple(found.values())
