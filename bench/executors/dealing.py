"""Which group is next: for executors that hand out one group after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.executors.base import Group


class Dealer:
    """The groups of a stage that nobody has begun.

    Who is free goes on with the kin that they were at; else begins the kin with the most work that nobody is at; else
    takes over the last group of the kin with the most work left. So what is shared is made again at the end only.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self._waiting: dict[str, list[Group]] = {}
        for index, group in enumerate(groups):
            self._waiting.setdefault(group.kin or f"\0{index}", []).append(group)
        self._open = Counter(group.name for group in groups if group.name)
        self._begun: Counter[str] = Counter()

    def __bool__(self) -> bool:
        """Whether any is left."""
        return bool(self._waiting)

    def take(self, kin: str = "") -> Group | None:
        """The next group for somebody who was at ``kin``; None: all that are left wait for others."""
        if kin and (ready := self._ready(kin)):
            return self._begin(kin, ready[0])
        free = [(name, ready) for name in self._waiting if (ready := self._ready(name))]
        if not free:
            return None
        name, ready = max(free, key=lambda one: (not self._begun[one[0]], self._left(one[0])))
        return self._begin(name, ready[-1 if self._begun[name] else 0])

    def end(self, group: Group) -> None:
        """All items of ``group``, which was taken, have their outcome."""
        self._begun[group.kin] -= 1
        self._open[group.name] -= 1

    def give_back(self, rest: Group) -> None:
        """What is left of a group that was taken: its worker died."""
        self._begun[rest.kin] -= 1
        self._waiting.setdefault(rest.kin or f"\0{rest.items!r}", []).insert(0, rest)

    def _ready(self, kin: str) -> list[Group]:
        return [g for g in self._waiting.get(kin, ()) if not any(self._open[name] for name in g.after)]

    def _left(self, kin: str) -> float:
        return sum(group.cost for group in self._waiting[kin])

    def _begin(self, kin: str, group: Group) -> Group:
        waiting = self._waiting[kin]
        del waiting[next(i for i, one in enumerate(waiting) if one is group)]
        if not waiting:
            del self._waiting[kin]
        self._begun[group.kin] += 1
        return group
