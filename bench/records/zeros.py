"""Where the zeros of a masked network are: what backends that skip zeros are timed by, beside the architecture."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from math import prod

from bench.records import Record

_N_OF_M = re.compile(r"-nm-(\d+)-(\d+)(?![\d-])")


@dataclass(frozen=True)
class Zeros:
    """The density of each masked layer. Networks with the same are timed once, wherever the zeros lie."""

    density: tuple[tuple[str, float], ...]
    """(layer, share of its weights that stayed, to a thousandth)."""
    n_of_m: tuple[int, int] | None = None
    """The pattern, where the granularity has one."""

    @property
    def hash(self) -> str:
        """Empty where nothing is masked."""
        if not self.density:
            return ""
        text = json.dumps([self.density, self.n_of_m], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def zeros_of(record: Record) -> Zeros:
    """The zeros that masks have put into the network of ``record``.

    Layers that take another layer's tensor are counted as empty, and are not masked: strategies that share have none.
    """
    words = record.cell.strategy.split("+", 1)[0]
    if "-share" in words:
        return Zeros(())
    found = []
    for layer in record.layers:
        size = prod(layer.width)
        entries = layer.weights * prod(layer.kept_width) // size if size else 0
        if layer.kept < entries:
            found.append((layer.name, round(layer.kept / entries, 3)))
    match = _N_OF_M.search(words)
    return Zeros(tuple(found), (int(match[1]), int(match[2])) if match else None)
