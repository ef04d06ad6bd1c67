"""A made-up second task: restored images, judged by decibels, where higher is better on a linear scale."""

from __future__ import annotations

import math
from typing import Any

from bench.records import Number, Record
from bench.tasks import Quantity, Task
from bench.tasks.evaluation import Evaluation
from tests.report.synthetic import FID, make_records

PSNR = Quantity(
    "psnr", "PSNR", "dB", "higher", "against the clean originals", margin=0.1, decimals=2, tolerated=5.0,
    bounds=(0.5, 1.0), about="signal against the error, higher is better",
)  # fmt: skip
SSIM = Quantity("ssim", "SSIM", "share", "higher", "structure against the clean originals")


def _nothing() -> Evaluation[Any]:
    raise NotImplementedError("a report measures nothing")


RESTORATION = Task(
    name="restoration",
    quantities=(PSNR, SSIM),
    leaders=("psnr",),
    beside=("ssim",),
    metrics=("psnr",),
    known_metrics=("psnr",),
    gated=("psnr",),
    bound="psnr",
    watched="psnr",
    area="psnr",
    floor="",
    gap=("psnr", "psnr"),
    numbers=(),
    code={},
    card=lambda values: ("", ""),
    evaluation=_nothing,
)
METRIC = "psnr[set5]"


def restored(record: Record, psnr: float | None = None) -> Record:
    """The record as one of the second task: the lower its FID was, the more decibels it has."""
    if not record.numbers:
        return record.model_copy(update={"task": RESTORATION.name})
    fid = float(record.numbers[FID].value or 1.0)
    decibels = 40.0 - 5.0 * math.log10(fid) if psnr is None else psnr
    numbers = {name: number for name, number in record.numbers.items() if number.kind == "exact"}
    for name, value, unit in ((METRIC, decibels, "dB"), ("ssim[set5]", 1 - 1 / decibels, "share")):
        numbers[name] = Number(
            value=value, unit=unit, direction="higher", kind="stochastic", version="1", num_images=100
        )
    return record.model_copy(update={"task": RESTORATION.name, "numbers": numbers})


def mixed_run() -> list[Record]:
    """One workload of each task."""
    return [restored(each) if each.cell.workload == "mnist-mlp" else each for each in make_records()]
