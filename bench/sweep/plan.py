"""From an experiment to its cells, each with its keys, and to how they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.base.containment import contained
from bench.base.errors import UserError
from bench.base.limits import BY_DEFAULT, Limits
from bench.experiments import Experiment, Known, expand
from bench.records import PlannedCell
from bench.sweep.patterns import check_patterns
from bench.sweep.resolved import ResolvedCell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.workloads.spec import CLASSIFIER


@dataclass(frozen=True)
class Plan:
    """The cells of an experiment, resolved, in the order of the experiment."""

    experiment: Experiment
    settings: Settings
    todo: tuple[ResolvedCell, ...]

    @property
    def cells(self) -> tuple[PlannedCell, ...]:
        """As they stand in the manifest."""
        return tuple(PlannedCell(cell=todo.cell, keys=todo.keys) for todo in self.todo)


def settings_of(
    experiment: Experiment, *, device: str = "cpu", run: Path | None = None, save: bool = False
) -> Settings:
    """The part of the experiment that says how cells are measured."""
    quality = experiment.quality
    return Settings(
        num_images=quality.num_images,
        extractor=quality.extractor,
        extractor_weights=Path(quality.extractor_weights).absolute() if quality.extractor_weights else None,
        download=quality.download,
        curve=quality.curve,
        metrics=tuple(quality.metrics),
        device=device,
        run=run,
        sample_seed=experiment.sweep.seeds[0],
        save=save,
        plugins=tuple(_absolute(name) for name in experiment.sweep.plugins),
        catalogue=experiment.catalogue,
    )


def _absolute(plugin: str) -> str:
    """A file's full path; a module's name as it is."""
    return str(Path(plugin).resolve()) if plugin.endswith(".py") else plugin


def make_plan(
    experiment: Experiment, settings: Settings, shop: Workshop | None = None, *, limits: Limits = BY_DEFAULT
) -> Plan:
    """Expand the experiment and give every cell its keys.

    Every checkpoint is loaded, so what is wrong with one shows before any work is done.

    Args:
        limits: what loading one workload may take.

    Raises:
        UserError: whatever is wrong with a workload's files and code; two checkpoints that hold the same weights;
            constraints that match no layer, or contradict each other in one.
    """
    shop = shop or Workshop(settings)
    cells = expand(experiment, Known.installed())
    fingerprints: dict[tuple[str, str], str] = {}
    for workload, checkpoint in dict.fromkeys((cell.workload, cell.checkpoint) for cell in cells):
        with contained(f"workload {workload!r}, checkpoint {checkpoint!r}", limits):
            fingerprint = shop.load(workload, checkpoint).gan.checkpoint.fingerprint
        if (same := fingerprints.setdefault((workload, fingerprint), checkpoint)) != checkpoint:
            raise UserError(
                f"experiment.checkpoints: {same!r} and {checkpoint!r} of {workload!r} hold the same weights, so they "
                "are one training and not two. Take one of them out."
            )
    check_patterns(cells, shop)
    return Plan(experiment, settings, tuple(map(shop.resolve, cells)))


def announce_training(experiment: Experiment, note: Callable[[str], None]) -> None:
    """Say which judges are trained before anything else, where they are not kept yet: it can take minutes."""
    chosen = experiment.quality.extractor
    workloads = (experiment.catalogue[name] for name in experiment.sweep.workloads)
    names = [w.name for w in workloads if (w.extractor if chosen == "workload" else chosen) == CLASSIFIER]
    if names:
        note(
            f"{CLASSIFIER} is trained for {', '.join(names)} now, where it is not kept from before: a minute or two, "
            "more on large images."
        )


def devices_here(experiment: Experiment) -> list[str]:
    """Those of the experiment's latency devices that this machine has."""
    return [device for device in experiment.latency.devices if device != "cuda" or torch.cuda.is_available()]


def device_note(experiment: Experiment) -> str:
    """What is to be said where the experiment times on a device that is not here; empty where it does not.

    No mistake: the same file is good on the machine that has one, and all cells can be measured here.
    """
    latency = experiment.latency
    absent = sorted(set(latency.devices) - set(devices_here(experiment))) if latency.enabled else []
    return f"latency on {', '.join(absent)} is left out: no such device here." if absent else ""
