"""Counting how often strategies are scored."""

from __future__ import annotations

from typing import Any

import pytest

from strategies.composition import Strategy


def count_scores(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of strategies, added as they are scored from now on."""
    names: list[str] = []
    rank = Strategy.rank

    def counted(self: Strategy, *given: Any) -> Any:
        names.append(self.name)
        return rank(self, *given)

    monkeypatch.setattr(Strategy, "rank", counted)
    return names
