"""Consoles that print text of others: what would move the cursor or colour the terminal is written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from bench.base.printable import printable


def clean_console(**settings: Any) -> Console:
    """A console for names, reasons and messages from anywhere; nothing of its own is highlighted."""
    console = _Console(highlight=False, **settings)
    console.push_render_hook(_Hook())
    return console


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Rich would end the process; who reads no more is for the command to see."""
        raise BrokenPipeError


@dataclass(frozen=True)
class _Cleaned:
    thing: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.thing, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class _Hook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(thing) for thing in renderables]
