"""Words of messages: places, hints, values as a person would write them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

Loc = tuple[str | int, ...]
"""Place of a value in the file: ``("experiment", "seeds", 0)``."""

Found = tuple[Loc, str]
"""A mistake: its place and a sentence."""


def place_of(loc: Loc, label: str, overridden: set[Loc]) -> str:
    """``quick.toml, experiment.strategies[2]``, or ``--set experiment.seeds[0]`` where an override put it."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += ("." if path else "") + (part if re.fullmatch(r"[\w-]+", part) else repr(part))
    from_override = any(loc[:i] in overridden for i in range(1, len(loc) + 1))
    return f"--set {path}" if from_override else f"{label}, {path}"


def hint(word: str, words: Sequence[str]) -> str:
    """The one of ``words`` that was probably meant, else all."""
    close = difflib.get_close_matches(word, words, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(words)}."


def shown(value: object) -> str:
    """A value as a person would write it, at most 60 characters."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list):
        text = f"[{', '.join(map(shown, value[:20]))}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key} = {shown(item)}' for key, item in value.items())}}}"
    else:
        text = repr(value) if isinstance(value, str | float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def toml_reason(error: ValueError | RecursionError) -> tuple[str, str]:
    """What the TOML parser says, and ``, line 3, column 5`` where it says that."""
    if isinstance(error, RecursionError):
        return "nested too deeply", ""
    at = re.fullmatch(r"(.*) \(at (.*)\)", str(error), flags=re.DOTALL)
    return (at[1], f", {at[2]}") if at else (str(error).split(";")[0], "")
