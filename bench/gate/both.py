"""What the rows of one comparison have in common."""

from __future__ import annotations

from dataclasses import dataclass

from bench.experiments.gate import Gate
from bench.experiments.places import Place
from bench.gate.contents import Contents
from bench.gate.images import Images, no_images
from bench.gate.verdicts import Judgeable, Row

Part = Row | Judgeable


@dataclass(frozen=True)
class Both:
    """What the rows of one comparison have in common."""

    base: Contents
    head: Contents
    gate: Gate
    notes: list[str]
    images: tuple[Images, Images] = (no_images, no_images)

    @property
    def sides(self) -> tuple[Contents, Contents]:
        return self.base, self.head

    @property
    def same_numbers(self) -> bool:
        """Whether the same cell would have the same number to the last bit on both sides."""
        first, last = self.base.environments, self.head.environments
        return len(first) == len(last) == 1 and first[0].same_numbers(last[0])


def row_of(place: Place, *, gated: bool) -> Row:
    """The row of a cell as a whole, from which those of its numbers are made."""
    return Row(cell=place.label, metric="", kind="cell", gated=gated, verdict="ok", reason="")
