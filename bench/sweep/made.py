"""A network that was pruned and recovered, before it is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.records import CurvePoint, Number
from bench.training.recovery import Recovered


@dataclass(frozen=True)
class Made:
    """A pruned and recovered network, and the seconds that it took."""

    recovered: Recovered
    prune_seconds: float
    recover_seconds: float
    numbers: dict[str, Number] = field(default_factory=dict)
    """What only the training knows: the steps until it was as good as dense, what is left of D."""

    @property
    def curve(self) -> list[CurvePoint]:
        """What was seen along the way."""
        return list(self.recovered.points)
