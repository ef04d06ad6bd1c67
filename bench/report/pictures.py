"""Figures drawn in processes of their own, which import what draws while the report is still being computed.

This module imports nothing heavy, so that the processes can be started before everything else.

Every figure is drawn from its arguments alone in the one style of `bench.report.style`, so who draws it, and after
what, changes no byte. Where no process can be started, or one of them fails, the figures are drawn here.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.report.drawings import Drawing

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_STUDIO = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from bench.report.studio import main; main()"


@dataclass(frozen=True)
class Picture:
    """One figure as files."""

    files: Mapping[str, bytes]
    """``pdf``, ``svg`` and ``png``."""
    width: float
    """Inches at its own size."""


def figure_of(drawing: Drawing) -> Figure | None:
    """The figure; None where it has nothing to show."""
    module, function = drawing.function.split(".")
    draws: Callable[..., Figure | None] = getattr(importlib.import_module(f"bench.report.figures.{module}"), function)
    return draws(*drawing.arguments)


def draw(drawing: Drawing) -> Picture | None:
    """The figure in all formats; None where it has nothing to show."""
    from bench.report.style import files_of

    figure = figure_of(drawing)
    return None if figure is None else Picture(files_of(figure), float(figure.get_size_inches()[0]))


class Artists:
    """``jobs`` processes that draw, for as long as the context lasts. They start to import at once.

    They are forked from a new interpreter (`bench.report.studio`), so nothing of this process is in them: no PyTorch,
    no thread, no ``__main__`` of a script. With one job everything is drawn here.
    """

    def __init__(self, jobs: int = 2) -> None:
        self._studio: subprocess.Popen[bytes] | None = None
        self._waiting: Sequence[Drawing] = ()
        if jobs > 1:
            command = [sys.executable, "-P", "-c", _STUDIO, json.dumps(sys.path), str(jobs)]
            environment = os.environ | dict.fromkeys(THREADS, "1")  # a process with threads should not fork
            with contextlib.suppress(OSError):
                self._studio = subprocess.Popen(
                    command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )

    def __enter__(self) -> Artists:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def begin(self, drawings: Sequence[Drawing]) -> None:
        """Hand out what is to be drawn; returns before it is drawn."""
        self._waiting = drawings
        if self._studio is not None and self._studio.stdin is not None:
            with contextlib.suppress(OSError):  # it has died: `pictures` draws here
                pickle.dump(list(drawings), self._studio.stdin)
                self._studio.stdin.flush()

    def pictures(self) -> dict[str, Picture]:
        """The figures that came out, by name, in the order in which they were begun."""
        found = {}
        for drawing in self._waiting:
            picture = self._next(drawing)
            if picture is not None:
                found[drawing.name] = picture
        return found

    def _next(self, drawing: Drawing) -> Picture | None:
        if self._studio is not None and self._studio.stdout is not None:
            try:
                picture: Picture | None = pickle.load(self._studio.stdout)  # our own process wrote it
                return picture
            except (EOFError, OSError, pickle.UnpicklingError):
                self._close()
        return draw(drawing)

    def _close(self) -> None:
        """End the processes; those that have drawn everything end by themselves."""
        if self._studio is None:
            return
        studio, self._studio = self._studio, None
        for pipe in (studio.stdin, studio.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            studio.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            studio.kill()
            studio.wait()
