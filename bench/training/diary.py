"""What an unfinished training has shown so far, kept beside its state."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.files import write_atomically
from bench.training.loop import StepStats

if TYPE_CHECKING:
    from bench.records import CurvePoint

DIARY = "diary.json"


@dataclass
class Diary:
    """Every step's measurements, the points of the learning curve, and the time that they took."""

    stats: list[StepStats] = field(default_factory=list)
    points: list[CurvePoint] = field(default_factory=list)
    seconds: float = 0.0
    """Of the processes before this one, watching included."""
    watch_seconds: float = 0.0

    def save(self, folder: Path, seconds: float) -> None:
        """Write it, with ``seconds`` spent until now. To be done *before* the state of the training is written."""
        content = {
            "stats": [asdict(stats) for stats in self.stats],
            "points": self.points,
            "seconds": seconds,
            "watch_seconds": self.watch_seconds,
        }
        write_atomically(folder / DIARY, json.dumps(content))  # with NaN: nobody but `load` reads it

    @classmethod
    def load(cls, folder: Path, step: int) -> Diary:
        """The diary of the first ``step`` steps; what was written after them is made again, and comes out the same."""
        saved = json.loads((folder / DIARY).read_text(encoding="utf-8"))
        return cls(
            [StepStats(**stats) for stats in saved["stats"][:step]],
            [point for point in saved["points"] if point["step"] < step],
            saved["seconds"],
            saved["watch_seconds"],
        )
