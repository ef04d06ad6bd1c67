"""What an unfinished training has shown so far, kept with its state."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.training.loop import StepStats

if TYPE_CHECKING:
    from bench.records import CurvePoint


@dataclass
class Diary:
    """Every step's measurements, the points of the learning curve, and the time that they took."""

    stats: list[StepStats] = field(default_factory=list)
    points: list[CurvePoint] = field(default_factory=list)
    seconds: float = 0.0
    """Of the processes before this one, watching included."""
    watch_seconds: float = 0.0

    def notes(self, seconds: float) -> dict[str, Any]:
        """The diary as plain values, with ``seconds`` spent until now."""
        return {
            "stats": [asdict(stats) for stats in self.stats],
            "points": [dict(point) for point in self.points],
            "seconds": seconds,
            "watch_seconds": self.watch_seconds,
        }

    @classmethod
    def of(cls, notes: dict[str, Any]) -> Diary:
        """The diary that `notes` were made from."""
        return cls(
            [StepStats(**stats) for stats in notes["stats"]], notes["points"], notes["seconds"], notes["watch_seconds"]
        )
