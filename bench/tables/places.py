"""Which rows are of which training: a workload may have several checkpoints in a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import pandas as pd


def place_names(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What (workload, checkpoint) is called: by the workload alone where it has one checkpoint in the run."""
    pairs = list(dict.fromkeys(places))
    several = Counter(workload for workload, _ in pairs)
    return {
        (workload, checkpoint): workload if several[workload] == 1 else f"{workload}, checkpoint {checkpoint}"
        for workload, checkpoint in pairs
    }


def names_in(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """`place_names` of a table with the columns ``workload, checkpoint``."""
    pairs = table[["workload", "checkpoint"]].drop_duplicates()
    return place_names((str(workload), str(checkpoint)) for workload, checkpoint in pairs.itertuples(index=False))


def by_place(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each workload, and of each of its checkpoints, under the name of the place; workloads stay in their
    order and together.
    """
    names = names_in(table)
    for workload, rows in table.groupby("workload", sort=False):
        for checkpoint, part in rows.groupby("checkpoint", sort=False):
            yield names[str(workload), str(checkpoint)], part
