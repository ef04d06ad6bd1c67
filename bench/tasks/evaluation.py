"""What a task can do with a network: draw its inputs, judge its outputs, say when they are worth nothing."""

from __future__ import annotations

from typing import Protocol


class Evaluation(Protocol):
    """The computing half of a task."""
