"""What a user may demand of a pruned network besides its size: layers left alone, a cap, shares, widths.

Words and numbers only, no torch: `strategies.constraining` carries them out.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEYS = ("exclude", "cap", "ratios", "multiple", "at_least")
"""The names of the constraints, as tables and messages have them."""

FOR_CHANNELS = ("multiple", "at_least")
"""Those that say something about widths, and nothing about single weights."""

MOST_WIDTH = 1_000_000
MOST_PATTERNS = 100
LONGEST_PATTERN = 200
LONGEST_IN_CLEAR = 24
"""Characters of patterns that a label spells out; of longer ones it has the beginning and a hash."""

_IN_CLEAR = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def checked_pattern(value: str) -> str:
    """``value``, or ValueError: nothing that could match a layer."""
    if not value or len(value) > LONGEST_PATTERN:
        raise ValueError(f"{value[:60]!r} is no pattern of layer names: from 1 to {LONGEST_PATTERN} characters.")
    return value


def checked_cap(value: float) -> float:
    """``value``, or ValueError: no share that a layer may lose at most."""
    if not 0 < value < 1:
        raise ValueError(f"{value!r} is not in (0, 1): the share that any layer loses at most.")
    return value


def checked_ratio(value: float) -> float:
    """``value``, or ValueError: no share that a layer can lose."""
    if not 0 <= value < 1:
        raise ValueError(f"{value!r} is not in [0, 1): the share that goes from the layer.")
    return value


def checked_multiple(value: int) -> int:
    """``value``, or ValueError: nothing that widths could be multiples of."""
    if not 2 <= value <= MOST_WIDTH:
        raise ValueError(
            f"{value!r} is not a whole number from 2 to {MOST_WIDTH:,}: what every width is a multiple of."
        )
    return value


def checked_at_least(value: int) -> int:
    """``value``, or ValueError: no number of channels that can stay."""
    if not 1 <= value <= MOST_WIDTH:
        raise ValueError(f"{value!r} is not a whole number from 1 to {MOST_WIDTH:,}: the channels that stay anywhere.")
    return value


class Contradiction(ValueError):
    """Two constraints that no network can satisfy, or a pattern that matches nothing; the message is one sentence."""


@dataclass(frozen=True)
class Constraints:
    """What must hold whatever the level; nothing by default. Patterns are matched as `fnmatch.fnmatchcase` does.

    Raises:
        ValueError: a value out of its range.
        Contradiction: two of them exclude each other whatever the layers.
    """

    exclude: tuple[str, ...] = ()
    """Patterns of layers of which nothing goes: no weight, no channel that they make."""
    cap: float | None = None
    """The share of its weights, or of its channels, that any layer loses at most."""
    ratios: tuple[tuple[str, float], ...] = ()
    """(pattern, share): what goes from these layers at every level; the others make up for it."""
    multiple: int | None = None
    """Every width that becomes smaller is a multiple of this."""
    at_least: int | None = None
    """So many channels stay, where there are as many."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "exclude", tuple(sorted(set(self.exclude))))
        object.__setattr__(self, "ratios", tuple(sorted((str(name), float(share)) for name, share in self.ratios)))
        for pattern in (*self.exclude, *(name for name, _ in self.ratios)):
            checked_pattern(pattern)
        if len(self.exclude) + len(self.ratios) > MOST_PATTERNS:
            raise ValueError(f"{len(self.exclude) + len(self.ratios):,} patterns; at most {MOST_PATTERNS}.")
        for _, share in self.ratios:
            checked_ratio(share)
        if self.cap is not None:
            checked_cap(self.cap)
        if self.multiple is not None:
            checked_multiple(self.multiple)
        if self.at_least is not None:
            checked_at_least(self.at_least)
        self._agree()

    def _agree(self) -> None:
        for name, share in self.ratios:
            if name in self.exclude and share > 0:
                raise Contradiction(f"{name!r} is in exclude, and ratios take {share:g} of it.")
            if self.cap is not None and share > self.cap:
                raise Contradiction(f"ratios take {share:g} of {name!r}, more than cap = {self.cap:g}.")

    def __bool__(self) -> bool:
        return self != Constraints()

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Constraints:
        """From a table as `table` gives it, or as TOML has it. Raises ValueError: unknown keys, wrong values."""
        if unknown := [key for key in table if key not in KEYS]:
            raise ValueError(f"no constraint {unknown[0]!r}; there are {', '.join(KEYS)}.")
        for key, value in table.items():
            if not _KINDS[key](value):
                raise ValueError(f"{key} = {value!r}: expected {_EXPECTED[key]}.")
        lists = {"exclude": tuple(table.get("exclude", ())), "ratios": tuple(table.get("ratios", {}).items())}
        return cls(**{**table, **lists})

    @property
    def table(self) -> dict[str, Any]:
        """As JSON, only what is demanded, always in one order."""
        values: dict[str, Any] = {
            "exclude": list(self.exclude) or None,
            "cap": self.cap,
            "ratios": dict(self.ratios) or None,
            "multiple": self.multiple,
            "at_least": self.at_least,
        }
        return {key: value for key, value in values.items() if value is not None}

    @property
    def words(self) -> str:
        """As one writes them: ``cap = 0.9, multiple = 8``."""
        return ", ".join(f"{key} = {_written(value)}" for key, value in self.table.items())

    @property
    def label(self) -> str:
        """What stands behind a strategy's name, safe in paths: ``+x8``, ``+cap0.9+not-main.0``; empty for none."""
        parts = []
        if self.exclude:
            parts.append(f"not-{_short([*self.exclude])}")
        if self.cap is not None:
            parts.append(f"cap{self.cap:g}")
        if self.ratios:
            parts.append(f"at-{_short([f'{name}-{share:g}' for name, share in self.ratios])}")
        if self.multiple is not None:
            parts.append(f"x{self.multiple}")
        if self.at_least is not None:
            parts.append(f"min{self.at_least}")
        return "".join(f"+{part}" for part in parts)

    # What they mean for layers.

    @property
    def patterns(self) -> tuple[tuple[str, str], ...]:
        """(key, pattern) of all that name layers."""
        return (*(("exclude", name) for name in self.exclude), *(("ratios", name) for name, _ in self.ratios))

    def unmatched(self, layers: Iterable[str]) -> list[tuple[str, str]]:
        """Those of `patterns` that match none of ``layers``."""
        names = list(layers)
        return [(key, pattern) for key, pattern in self.patterns if not any(_fits(name, pattern) for name in names)]

    def excluded(self, layers: Sequence[str]) -> str | None:
        """The first of ``layers`` that is excluded."""
        return next((name for name in layers if any(_fits(name, pattern) for pattern in self.exclude)), None)

    def ratio(self, layers: Sequence[str]) -> float | None:
        """The share that goes from what ``layers`` make together; None: none of them has one.

        Raises:
            Contradiction: they have different shares, or one of them is excluded.
        """
        found: dict[float, str] = {}
        for name in layers:
            for pattern, share in self.ratios:
                if _fits(name, pattern):
                    found.setdefault(share, name)
        if len(found) > 1:
            (one, first), (other, second), *_ = found.items()
            raise Contradiction(f"{_with(first, second)} has two ratios, {one:g} and {other:g}.")
        for share, name in found.items():
            if share > 0 and (kept := self.excluded(layers)) is not None:
                raise Contradiction(f"{_with(kept, name)} stands in exclude, and ratios take {share:g}.")
        return next(iter(found), None)

    def check(self, layers: Iterable[str]) -> None:
        """Raises `Contradiction` where two constraints meet in one of ``layers``."""
        for name in layers:
            self.ratio([name])

    def stops(self, layers: Sequence[str], size: int, *, stays: int = 0) -> Sequence[int]:
        """The numbers of units that may be gone of the ``size`` that ``layers`` make together, rising.

        The first is what goes at every level. A width that is a multiple, or the dense one, is left behind each: where
        the dense width is no multiple, the first step takes what is over. A share is met by the nearest of these
        numbers, of two by the one that leaves more.

        Args:
            stays: units that stay whatever is demanded: one channel of a group, no weight of a layer.

        Raises:
            Contradiction: as `ratio`, or a share leaves fewer than `at_least`.
        """
        share = self.ratio(layers)
        most = max(0, size - max(stays, self.at_least or 0))
        if self.cap is not None:
            most = min(most, math.floor(self.cap * size + 1e-9))
        if self.excluded(layers) is not None:
            most = 0
        found: Sequence[int] = range(most + 1)
        if self.multiple is not None:
            over = size - (size - 1) // self.multiple * self.multiple
            found = (0, *range(over, min(most + 1, size), self.multiple))
        if share is None:
            return found
        wanted = round(share * size)
        if self.at_least is not None and wanted > max(0, size - self.at_least):
            raise Contradiction(
                f"ratios take {wanted} of the {size} channels of {layers[0]!r}, which leaves fewer than "
                f"at_least = {self.at_least}."
            )
        return (min(found, key=lambda gone: abs(gone - wanted)) if self.multiple else min(wanted, most),)


def nearby(pattern: str, layers: Sequence[str]) -> str:
    """Names of ``layers`` that may have been meant, in words."""
    close = difflib.get_close_matches(pattern, layers, n=3, cutoff=0.4)
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in layers if name in close)}?"
    return f"Its layers: {', '.join(layers[:8])}{', ...' if len(layers) > 8 else ''}."


def _with(one: str, other: str) -> str:
    return f"{one!r}" if one == other else f"what {one!r} and {other!r} make together"


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}" = {share:g}' for name, share in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(f'"{name}"' for name in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_patterns(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _are_ratios(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and _is_share(v) for k, v in value.items())


_KINDS: dict[str, Callable[[object], bool]] = {
    "exclude": _are_patterns,
    "cap": _is_share,
    "ratios": _are_ratios,
    "multiple": _is_whole,
    "at_least": _is_whole,
}
_EXPECTED = {
    "exclude": "a list of patterns",
    "cap": "a share",
    "ratios": "a table of patterns and shares",
    "multiple": "a whole number",
    "at_least": "a whole number",
}


def _short(texts: Sequence[str]) -> str:
    """Path-safe, and not the same for two that differ: in clear where that is short and safe."""
    joined = "+".join(texts)
    if all(_IN_CLEAR.fullmatch(text) for text in texts) and len(joined) <= LONGEST_IN_CLEAR:
        return joined
    digits = hashlib.sha256(json.dumps([*texts]).encode()).hexdigest()[:6]
    beginning = re.sub(r"[^A-Za-z0-9_-]+", "_", texts[0])[: LONGEST_IN_CLEAR // 2].strip("_") or "layers"
    return f"{beginning}-{digits}"
