"""What the shipped workloads' numbers vary by, in `prior.json`: `ganprune plan` says by it what a run will tell.

``python -m bench.experiments.prior RUN`` writes the file from a run of ``quick`` (N = 1,000, three seeds).
"""

from __future__ import annotations

import functools
import json
import sys
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


def write_prior(run: str, file: Path = FILE) -> None:
    """Write the prior from a finished run. Raises UserError: there is none, or a file of it is damaged."""
    folder = find_run(run)
    inputs = read_run(folder)
    seeds = sorted({record.cell.seed for record in inputs.records})
    made = {
        "by": "python -m bench.experiments.prior RUN",
        "experiment": name_of(inputs.experiment),
        "seeds": len(seeds),
        "cells": len(inputs.records),
        "code": sorted({record.provenance.git for record in inputs.records if record.provenance.git}),
    }
    workloads = {name: as_table(found) for name, found in variances_of_run(folder).items()}
    write_atomically(file, (json.dumps({"made": made, "workloads": workloads}, indent=1) + "\n").encode())


if __name__ == "__main__":
    write_prior(sys.argv[1])
