"""The finish of a cell: from its recovered network to the one that is judged, and what is known of that one alone."""

from __future__ import annotations

from torch import nn

from bench.artifact.finished import FinishedFiles
from bench.artifact.finishes import FINISH, Finish, FinishedNetwork
from bench.base.code import digest
from bench.base.errors import UserError
from bench.base.raised import in_words
from bench.base.seeds import stream
from bench.records import Architecture, Number
from bench.records.finishes import NO_FINISH
from bench.sweep.resolved import ResolvedCell
from bench.training.recovery import Recovered
from bench.workloads.base import Inputs
from strategies.base import NotApplicable

CALIBRATION_INPUTS = 256
"""Latents that the ranges of activations are found on, of the cell's `calibrate` stream."""

FILE_VERSION = "file-1"


def finish_named(name: str) -> Finish:
    """The finish of that name.

    Raises:
        UserError: what it needs is not installed.
    """
    finish = FINISH[name]
    if finish.missing:
        raise UserError(f"finish {name!r}: {finish.missing}.")
    return finish


def finish(todo: ResolvedCell, recovered: Recovered) -> FinishedNetwork | None:
    """The finished network of a cell; None: it has no finish.

    Raises:
        NotApplicable: the finish cannot take this network, with the reason.
    """
    if todo.finish is None:
        return None
    inputs = todo.gan.workload.inputs.sample(CALIBRATION_INPUTS, stream(todo.cell.seed, "calibrate", "finish"))
    generator = recovered.generator.cpu()
    try:
        finished = todo.finish.make(generator, inputs)
        finished(*(x[:2] for x in inputs))
    except Exception as error:
        lines = in_words(error).splitlines() or [""]
        raise NotApplicable(f"{todo.finish.name} cannot take this network ({lines[0][:200].strip()})") from error
    return finished


def finished_again(name: str, network: nn.Module, inputs: Inputs) -> FinishedNetwork:
    """``network`` finished for a timing, which takes as long whatever the ranges of its activations are."""
    return finish_named(name).make(network, inputs.sample(CALIBRATION_INPUTS, stream(0, "calibrate", "finish")))


def size_of(finished: FinishedNetwork) -> dict[str, Number]:
    """Bytes of all that is shipped."""
    number = Number(value=finished.size, unit="bytes", direction="lower", kind="exact", version=FILE_VERSION)
    return {"bytes_file": number}


def finished_architecture(architecture: Architecture, finish: Finish | None) -> Architecture:
    """A finished network is timed by itself: its hash names the finish, its widths stay."""
    if finish is None:
        return architecture
    return architecture.model_copy(update={"hash": digest([architecture.hash, finish.version])[:16]})


def finished_files(finish: Finish | None, finished: FinishedNetwork | None) -> FinishedFiles | None:
    """What an artefact keeps of it."""
    return FinishedFiles(finish.name, finish.version, finished.files) if finish and finished else None


def packages_of(name: str) -> tuple[str, ...]:
    """Packages that a finish is made and run by, whose versions belong to a timing."""
    return () if name == NO_FINISH else FINISH[name].packages
