"""A command of ours and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    def refused(self, *parts: str) -> None:
        """Exit code 2, nothing on stdout, one message that holds ``parts`` and no traceback."""
        assert (self.code, self.out) == (2, ""), self.out + self.err
        assert self.err.startswith("ganprune: ") and self.err.count("ganprune: ") == 1
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err


Command = Callable[..., Answer]
