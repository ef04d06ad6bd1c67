"""Every file name of a run, in one place. `docs/results-format.md` describes what is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.records import Cell

FAILED_TIMING = ".latency.json"
"""How the name of a failed timing ends; those of failed cells end in their key."""

KEY_LENGTH = 16
"""Hexadecimal digits of a key in a file name."""

_UNSAFE = re.compile(r"[^A-Za-z0-9+._-]+")


def safe(name: str) -> str:
    """``name`` with whatever has no business in a file name replaced."""
    return _UNSAFE.sub("_", name).strip(".") or "_"


@dataclass(frozen=True)
class RunPaths:
    """The files of the run in ``root``."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def environment(self) -> Path:
        return self.root / "environment.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def cells(self) -> Path:
        return self.root / "cells"

    @property
    def latencies(self) -> Path:
        return self.root / "latency"

    @property
    def failures(self) -> Path:
        return self.root / "failures"

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    def cell(self, cell: Cell, eval_key: str) -> Path:
        return self.cells / f"{_cell_name(cell)}--{eval_key[:KEY_LENGTH]}.json"

    def failure(self, cell: Cell, eval_key: str) -> Path:
        return self.failures / f"{_cell_name(cell)}--{eval_key[:KEY_LENGTH]}.json"

    def latency(self, workload: str, batch: int, key: str) -> Path:
        return self.latencies / f"{safe(workload)}--b{batch}--{key[:KEY_LENGTH]}.json"

    def latency_failure(self, workload: str, batch: int, key: str) -> Path:
        return self.failures / f"{safe(workload)}--b{batch}--{key[:KEY_LENGTH]}{FAILED_TIMING}"

    def cell_samples(self, eval_key: str) -> Path:
        """The first images of a cell, for the grids."""
        return self.samples / f"{eval_key[:KEY_LENGTH]}.safetensors"

    @property
    def images(self) -> Path:
        return self.root / "images"

    def contributions(self, eval_key: str) -> Path:
        """What each image of a cell contributes to its numbers."""
        return self.images / f"{eval_key[:KEY_LENGTH]}.safetensors"

    def dense_reference(self, eval_key: str) -> Path:
        """Images and features of a dense cell, with which the others are compared."""
        return self.samples / f"dense-{eval_key[:KEY_LENGTH]}.safetensors"

    def training(self, eval_key: str) -> Path:
        """The unfinished training of a cell; removed when its record is written."""
        return self.trainings / eval_key[:KEY_LENGTH]

    @property
    def trainings(self) -> Path:
        return self.root / "training"

    def artifact(self, prune_key: str) -> Path:
        return self.artifacts / prune_key[:KEY_LENGTH]

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"


def _cell_name(cell: Cell) -> str:
    parts = (cell.workload, cell.strategy, cell.level_label, cell.after, f"s{cell.seed}")
    return "--".join(safe(part) for part in parts)


def run_folder(results: Path, experiment: str, run: str) -> Path:
    """``results/runs/<experiment>/<run>``."""
    return results / "runs" / safe(experiment) / safe(run)


def report_folder(reports: Path, experiment: str) -> Path:
    """``reports/<experiment>``."""
    return reports / safe(experiment)
