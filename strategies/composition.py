"""A strategy: criterion x granularity x allocation x schedule, with a name. Adding one from parts is one line."""

from __future__ import annotations

from dataclasses import Field, dataclass, replace
from typing import Any, ClassVar, Protocol

from strategies.allocation import Allocation
from strategies.baking import plain
from strategies.base import (
    ANY_SPARSITY,
    Context,
    Criterion,
    Level,
    Levels,
    Need,
    NotApplicable,
    Ranking,
    Removal,
    Target,
)
from strategies.schedule import Schedule


class Granularity(Protocol):
    """What is removed: single weights, whole channels, ... A frozen dataclass; its fields are part of a key."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> frozenset[Need]:
        """What ordering these units takes besides the criterion's needs."""

    def rank(
        self, context: Context, criterion: Criterion, allocation: Allocation, after: Removal | None = None
    ) -> Ranking:
        """Score and order the units; those that ``after`` removed already come first.

        Raises:
            NotApplicable: the criterion has nothing to score, or nothing can be removed.
        """


@dataclass(frozen=True)
class Strategy:
    """criterion x granularity x allocation x schedule, with a name."""

    name: str
    criterion: Criterion
    granularity: Granularity
    allocation: Allocation
    schedule: Schedule | None = None
    """None: one-shot, before the recovery."""
    levels: Levels = ANY_SPARSITY

    @property
    def needs(self) -> frozenset[Need]:
        """What the strategy cannot do without."""
        return (
            self.criterion.needs
            | self.allocation.needs
            | self.granularity.needs
            | (self.schedule.needs if self.schedule else frozenset())
        )

    @property
    def random(self) -> bool:
        """Whether the pruned network depends on the `prune` stream."""
        drawn = self.criterion.random or (self.schedule is not None and self.schedule.random)
        return drawn or bool(self.needs & {"inputs", "data", "discriminator"})

    def rank(self, context: Context, after: Removal | None = None) -> Ranking:
        """Score the context's generator once; the ranking answers every level."""
        if "discriminator" in self.needs and context.discriminator is None:
            raise NotApplicable(f"{self.name} needs a discriminator, the workload has none")
        # What is normalised before each forward pass can be neither masked nor cut.
        if (generator := plain(context.generator)) is not context.generator:
            context = replace(context, generator=generator)
        return self.granularity.rank(context, self.criterion, self.allocation, after)

    def decide(self, ranking: Ranking, level: Level, target: Target) -> Removal:
        """What to remove at ``level``. Raises `Infeasible`, or ValueError for a level of another strategy."""
        if level.name == "sparsity" and self.levels.continuous:
            return ranking.cut(level.value, target)
        if level.name == self.levels.knob:
            return ranking.at(level.value)
        raise ValueError(f"{self.name} has no level {level.name!r}")
