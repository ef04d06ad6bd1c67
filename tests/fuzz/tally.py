"""What came of the attempts of one kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts by outcome, and everything that went wrong with how to make it again."""

    kind: str
    """``configurations``, ``files``, ``generators``, ``kills``."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """``accepted``, ``refused``, ...: what is as it should be."""
    wrong: list[str] = field(default_factory=list)
    """A traceback, a hang, an exit code 0 where something failed, a lost record: one text each."""

    @property
    def tried(self) -> int:
        return sum(self.outcomes.values()) + len(self.wrong)
