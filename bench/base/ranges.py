"""What a value may be: each check gives the value back or raises ValueError with a sentence that says its range.

A range ends where what is computed with the value would stop to mean anything, or no machine could hold it: a mistake
is told when the file is read, not hours later by whatever breaks first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.base.printable import one_line, shortened

SEEDS = 2**63 - 1
"""The largest seed: PyTorch and NumPy take 64 bits with a sign."""

MOST_ENTRIES = 2**26
"""Of one input or image: 4,096 x 4,096 in three colours has fewer."""

LONGEST_PATH = 4096
"""Characters; no file system takes more."""

LONGEST_TEXT = 1000

DEEPEST, MOST_VALUES = 16, 10_000
"""Levels and values of a table of arguments."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def number_between(low: float, high: float, why: str = "", zero: bool = False) -> Callable[[float], float]:
    """Finite, from ``low`` to ``high``, ends included; ``zero``: or 0."""

    def check(value: float) -> float:
        if not (math.isfinite(value) and (low <= value <= high or (zero and value == 0))):
            ends = f"0 or from {low:g} to {high:g}" if zero else f"from {low:g} to {high:g}"
            raise ValueError(f"{value!r} is not {ends}{_because(why)}.")
        return value

    return check


def whole_between(low: int, high: int, why: str = "") -> Callable[[int], int]:
    """A whole number from ``low`` to ``high``, ends included."""
    said = "2^63 - 1" if high == SEEDS else f"{high:,}"

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(
                f"{shortened(_digits(value), 60)} is not a whole number from {low} to {said}{_because(why)}."
            )
        return value

    return check


def _digits(value: int) -> str:
    return str(value) if abs(value) < 10**100 else "a number of more than 100 digits"


def _because(why: str) -> str:
    return f": {why}" if why else ""


def path_text(value: str) -> str:
    """The name of a file or folder: not empty, no control characters (NUL above all), not longer than a path can be."""
    if not value:
        raise ValueError("'' is not a path: it is empty.")
    if found := _CONTROL.search(value):
        raise ValueError(f"'{shortened(one_line(value), 60)}' is not a path: it holds the character {found[0]!r}.")
    if len(value.encode(errors="replace")) > LONGEST_PATH:
        raise ValueError(f"'{shortened(value, 40)}' is not a path: at most {LONGEST_PATH} bytes.")
    return value


def short_text(value: str) -> str:
    """At most `LONGEST_TEXT` characters, in one line."""
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"a text of {len(value):,} characters; at most {LONGEST_TEXT:,}.")
    if found := _CONTROL.search(value):
        raise ValueError(f"'{shortened(one_line(value), 60)}' holds the character {found[0]!r}; write one plain line.")
    return value


def shape(value: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes of at least 1, of what fits into memory."""
    said = shortened(f"[{', '.join(_digits(size) for size in value[:9])}{', ...' if len(value) > 9 else ''}]", 120)
    if any(size < 1 for size in value):
        raise ValueError(f"{said} is not a shape: every size is at least 1.")
    if len(value) > 8 or math.prod(value) > MOST_ENTRIES:
        raise ValueError(f"{said} is too large a shape: at most 8 sizes and {MOST_ENTRIES:,} entries (2^26).")
    return value


def value_range(value: tuple[float, float]) -> tuple[float, float]:
    """[lowest, highest], apart and of a size that float32 can tell apart."""
    low, high = value
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{[low, high]} is not a range: write [lowest, highest], such as [-1, 1].")
    if max(abs(low), abs(high)) > 1e6 or high - low < 1e-6 * max(1.0, abs(low), abs(high)):
        raise ValueError(
            f"{[low, high]} is not a range of images or noise: ends within a million, that differ by more than a "
            "millionth of the larger one."
        )
    return value


def at_most(most: int, what: str, why: str = "") -> Callable[[Any], Any]:
    """A list or table of at most ``most`` entries."""

    def check(value: Any) -> Any:
        if len(value) > most:
            raise ValueError(f"{len(value):,} {what}; at most {most:,}{_because(why)}.")
        return value

    return check


def arguments(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keyword arguments of a function: plain values that can be written as JSON and read again."""
    level: Sequence[Any] = [value]
    seen = 0
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                inner += item.values()
            elif isinstance(item, list | tuple):
                inner += item
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError(f"{item!r} is not a finite number.")
            elif isinstance(item, int) and abs(item) >= 2**63:
                raise ValueError(f"{shortened(_digits(item), 60)} is beyond the whole numbers of 64 bits.")
        seen += len(inner)
        if seen > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values; put them into a file that the function reads.")
        if not inner:
            return value
        level = inner
    raise ValueError(f"nested deeper than {DEEPEST} levels.")
