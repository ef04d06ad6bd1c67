"""Words of messages: places, hints, values as a person would write them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.base.errors import MOST_TOLD
from bench.base.printable import shortened

Loc = tuple[str | int, ...]
"""Place of a value in the file: ``("experiment", "seeds", 0)``."""

Found = tuple[Loc, str]
"""A mistake: its place and a sentence."""

LONGEST_WORD = 100
"""Characters of a key or name that is shown whole, or compared with those that are known."""

DEEPEST = 3
"""Levels of a value that are shown."""


def place_of(loc: Loc, label: str, overridden: set[Loc]) -> str:
    """``quick.toml, experiment.strategies[2]``, or ``--set experiment.seeds[0]`` where an override put it."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            key = part if re.fullmatch(r"[\w-]+", part) else repr(part)
            path += ("." if path else "") + shortened(key, LONGEST_WORD)
    from_override = any(loc[:i] in overridden for i in range(1, len(loc) + 1))
    return f"--set {path}" if from_override else f"{label}, {path}"


def placed(found: Iterable[Found], label: str, overridden: set[Loc]) -> list[str]:
    """Each mistake as a line that begins with its place; of those that are not told anyway, a line alone."""
    return [
        f"{place_of(loc, label, overridden)}: {sentence}" if i < MOST_TOLD else sentence
        for i, (loc, sentence) in enumerate(found)
    ]


def hint(word: str, words: Sequence[str]) -> str:
    """The one of ``words`` that was probably meant, else all."""
    close = difflib.get_close_matches(word, words, n=1) if len(word) <= LONGEST_WORD else []
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(words)}."


def shown(value: object, depth: int = 0) -> str:
    """A value as a person would write it, at most 60 characters."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list):
        text = f"[{', '.join(shown(item, depth + 1) for item in value[:20])}]" if depth < DEEPEST else "[...]"
    elif isinstance(value, dict):
        some = list(value.items())[:20] if depth < DEEPEST else [("...", "")]
        text = f"{{{', '.join(f'{shortened(str(key), 60)} = {shown(item, depth + 1)}' for key, item in some)}}}"
    elif isinstance(value, int):
        text = str(value) if abs(value) < 10**100 else "a number of more than 100 digits"
    elif isinstance(value, str):
        text = repr(value[:100])
    else:
        text = repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def values_at(raw: dict[str, Any], place: Loc) -> Iterator[tuple[Loc, Any]]:
    """What stands at ``place``: each item of a list with its own place, or the one value, or nothing."""
    value: Any = raw
    for part in place:
        inside = isinstance(value, dict) if isinstance(part, str) else isinstance(value, list)
        if not inside or (isinstance(part, str) and part not in value):
            return
        value = value[part]
    if isinstance(value, list):
        yield from (((*place, i), item) for i, item in enumerate(value))
    else:
        yield place, value


def toml_reason(error: ValueError | RecursionError) -> tuple[str, str]:
    """What the TOML parser says, and ``, line 3, column 5`` where it says that."""
    if isinstance(error, RecursionError):
        return "nested too deeply", ""
    at = re.fullmatch(r"(.*) \(at (.*)\)", str(error), flags=re.DOTALL)
    return (at[1], f", {at[2]}") if at else (str(error).split(";")[0], "")
