"""Runs of a small experiment in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.sweep.run import Outcome, run_experiment
from tests.helpers.cells import experiment
from tests.helpers.executor import InProcess


class Sweeps:
    """Runs experiments in this process and remembers what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.phases: list[tuple[str, int]] = []
        self.labels: list[str] = []
        self.notes: list[str] = []

    def phase(self, name: str, total: int) -> None:
        self.phases.append((name, total))

    def advance(self, label: str) -> None:
        self.labels.append(label)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def __call__(self, *overrides: str, run: str | None = None, fresh: bool = False, **fields: Any) -> Outcome:
        self.executor = InProcess()
        return run_experiment(
            experiment(self.folder, *overrides, **fields),
            results=self.results,
            run=run,
            fresh=fresh,
            progress=self,
            executor=self.executor,
        )

    @property
    def ran(self) -> list[str]:
        """The cells of the last run, in order."""
        return [item.cell.label for item in self.executor.items]

    def files(self, kind: str = "cells", run: str = "main") -> dict[str, tuple[int, bytes]]:
        """Name -> (time of the last change, bytes)."""
        folder = self.results / "runs" / "mini" / run / kind
        return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.glob("*"))}

    def record(self, part: str) -> Path:
        (found,) = (self.results / "runs" / "mini" / "main" / "cells").glob(f"*{part}*")
        return found
