"""Cells that may share a figure: those of one checkpoint, target and recovery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.records import Record
from bench.tables.naming import DENSE

SLICE = ["checkpoint", "target", "recovery"]
"""Cells that differ in one of these never share a figure."""


@dataclass(frozen=True)
class Slice:
    """One checkpoint, target and recovery, and what tells it from the other slices of the run."""

    checkpoint: str
    target: str
    recovery: str
    name: str
    """The values that differ between slices, safe in a file's name; empty where there is one slice."""

    @property
    def suffix(self) -> str:
        """Behind a file's name."""
        return f"-{self.name}" if self.name else ""

    @property
    def note(self) -> str:
        """Behind a caption."""
        return f" ({self.name})" if self.name else ""

    def pick(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of the slice with the dense rows that they are compared with (dense has no target)."""
        same = (table["checkpoint"] == self.checkpoint) & (table["recovery"] == self.recovery)
        return table[same & ((table["target"] == self.target) | (table["strategy"] == DENSE))]

    def pick_records(self, records: Sequence[Record]) -> list[Record]:
        """As `pick`."""
        mine = (self.checkpoint, self.recovery)
        same = [record for record in records if (record.cell.checkpoint, record.cell.after) == mine]
        return [record for record in same if record.cell.target == self.target or record.cell.strategy == DENSE]


def slices_of(table: pd.DataFrame) -> Iterator[Slice]:
    """The slices of a table's pruned rows, in its order."""
    found = table.loc[table["strategy"] != DENSE, SLICE].drop_duplicates()
    varied = [name for name in SLICE if found[name].nunique() > 1]
    for row in found.to_dict("records"):
        words = ["".join(c if c.isalnum() or c in "-+._" else "_" for c in str(row[name])) for name in varied]
        yield Slice(str(row["checkpoint"]), str(row["target"]), str(row["recovery"]), "-".join(words))
