"""Who watches a run."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Who watches a run."""

    def phase(self, name: str, total: int) -> None: ...

    def advance(self, label: str) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """Nobody watches."""

    def phase(self, name: str, total: int) -> None:
        """Nothing to show."""

    def advance(self, label: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""
