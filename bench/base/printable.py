"""Text of others, made safe to show: nothing in it moves the cursor, colours, hides or reorders what is printed."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection
from typing import Any

_UNSEEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and newline
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they reorder what stands around them
    r"\u2028\u2029\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff"  # halves of pairs, which no encoding has
)
_STRANGE = re.compile(f"[{_UNSEEN}]")
_STRANGE_LINE = re.compile(f"[{_UNSEEN}\t\n]")

_IN_JSON = re.compile(
    rf"[{_UNSEEN}]|\\u(?:00[01]|007[fF]|00[89]|061[cC]|20[026]|[fF][eE][fF]|[fF]{{3}}[9aAbB]|[dD][89a-fA-F])"
)
"""Where a text of JSON may hold such characters, written out or escaped; also finds some that are harmless."""

_NEWLINES_IN_JSON = re.compile(r"\\[nrt]")


def printable(text: str) -> str:
    r"""``text`` with what cannot be seen written out, ``\x1b``; newlines and tabs stay."""
    return _STRANGE.sub(_written_out, text)


def one_line(text: str) -> str:
    r"""As `printable`, newlines and tabs written out too: for names, which stand in the middle of a line."""
    return _STRANGE_LINE.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in "\t\n":
        return "\\t" if found[0] == "\t" else "\\n"
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def strange_json(text: str) -> bool:
    """Whether values in a text of JSON may hold what `printable` writes out; quick, and sometimes wrongly True."""
    return _IN_JSON.search(text) is not None or _NEWLINES_IN_JSON.search(text) is not None


def cleaned(value: Any, long: frozenset[str] = frozenset({"traceback", "reason", "error", "excluded"})) -> Any:
    """A JSON-able value with every text and key in one printable line; under the keys in ``long`` lines stay lines."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {
            one_line(str(key)): _kept_lines(item) if key in long else cleaned(item, long) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [cleaned(item, long) for item in value]
    return value


def _kept_lines(value: Any) -> Any:
    return (
        [_kept_lines(item) for item in value]
        if isinstance(value, list)
        else (printable(value) if isinstance(value, str) else cleaned(value))
    )


def printable_json(value: Any) -> str:
    r"""Indented JSON that a terminal shows as it is: what cannot be seen is escaped, ``\u009b``."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(f"[{_UNSEEN}]", lambda found: f"\\u{ord(found[0]):04x}", text)


def few(names: Collection[str], most: int = 20) -> str:
    """The first of them, each in one printable line, and how many more there are."""
    some = [shortened(one_line(name), 200) for name in itertools.islice(names, most)]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(some) + more


def shortened(text: str, most: int) -> str:
    """``text``, its middle left out where it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    return f"{text[:head]} ... ({len(text) - head - tail:,} characters more) ... {text[-tail:]}"
