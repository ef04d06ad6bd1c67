"""What the shipped workloads' numbers vary by, in `prior.json`: `ganprune plan` says by it what a run will tell.

``python -m bench.experiments.prior RUN ...`` writes the file from finished runs: what the first does not show of a
workload is taken from the next.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.base.files import write_atomically
from bench.base.outside import Damaged, read_table
from bench.report.inputs import name_of
from bench.report.loading import find_run, read_run
from bench.tables import tidy
from bench.tables.naming import DENSE
from bench.tables.powering import powers_of
from bench.tables.variances import Variances, as_table, from_table, variances_of

FILE = Path(__file__).with_name("prior.json")


@functools.cache
def shipped_prior() -> dict[str, Variances]:
    """By workload. Raises Damaged: the file is not what `write_prior` writes."""
    table = read_table(FILE)
    try:
        return {str(name): from_table(found) for name, found in table["workloads"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(FILE, f"not the variances of workloads ({error})") from error


def variances_of_run(folder: Path) -> dict[str, Variances]:
    """By workload, those that a run shows. Raises UserError: a damaged file."""
    inputs = read_run(folder)
    families = powers_of(tidy(inputs.records), DENSE, inputs.evidence)
    found = {}
    for workload in dict.fromkeys(family.workload for family in families):
        known = variances_of([family for family in families if family.workload == workload])
        if known is not None:
            found[workload] = known
    return found


def together(one: Variances, other: Variances) -> Variances:
    """``one``, with what it does not show from ``other`` where that is of the same number, by as many images."""
    if (one.metric, one.num_images) != (other.metric, other.num_images):
        return one
    return replace(
        one,
        fixed=one.fixed or other.fixed,
        pruned=one.pruned or other.pruned,
        trained=one.trained or other.trained,
    )


def write_prior(runs: Sequence[str], file: Path = FILE) -> None:
    """Write the prior. Raises UserError: a run is not there, or a file of it is damaged."""
    found: dict[str, Variances] = {}
    made = []
    for run in runs:
        folder = find_run(run)
        for workload, shown in variances_of_run(folder).items():
            found[workload] = together(found[workload], shown) if workload in found else shown
        inputs = read_run(folder)
        made.append(
            {
                "experiment": name_of(inputs.experiment),
                "recovery": sorted({record.cell.recovery for record in inputs.records}),
                "seeds": len({record.cell.seed for record in inputs.records}),
                "cells": len(inputs.records),
                "code": sorted({record.provenance.git for record in inputs.records if record.provenance.git}),
            }
        )
    table = {
        "by": "python -m bench.experiments.prior RUN ...",
        "runs": made,
        "workloads": {name: as_table(shown) for name, shown in sorted(found.items())},
    }
    write_atomically(file, json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    write_prior(sys.argv[1:])
