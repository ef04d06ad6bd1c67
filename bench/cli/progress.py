"""A progress bar for a run, in a terminal; plain lines where there is none."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bench.base.printable import one_line, printable

PLAIN_EVERY_SECONDS = 10.0


class TerminalProgress:
    """Watches a run (`bench.sweep.run.Progress`) or a training (`count`)."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Progress(
            TextColumn("{task.fields[phase]:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self.task: TaskID | None = None
        self.name, self.total, self.done = "", 0, 0
        self.spoke = time.monotonic()

    def __enter__(self) -> TerminalProgress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def phase(self, name: str, total: int) -> None:
        self.name, self.total, self.done = name, total, 0
        self.task = self.bars.add_task("", total=total, phase=name)

    def advance(self, label: str) -> None:
        self.done += 1
        self._show(label)

    def count(self, done: int, total: int, label: str) -> None:
        """For a training: step ``done`` of ``total``."""
        if self.task is None or self.total != total:
            self.phase("training", total)
        self.done = done
        self._show(label)

    def note(self, text: str) -> None:
        self.console.print(printable(text), markup=False, highlight=False)

    def _show(self, label: str) -> None:
        label = one_line(label)
        if self.task is not None:
            self.bars.update(self.task, completed=self.done, description=label)
        if not self.console.is_terminal and (
            self.done == self.total or time.monotonic() - self.spoke > PLAIN_EVERY_SECONDS
        ):
            self.spoke = time.monotonic()
            self.console.print(f"{self.name}: {self.done}/{self.total}  {label}", markup=False, highlight=False)
