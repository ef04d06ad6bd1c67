"""Strategies that go back to an earlier state of the training, on trainings of which it was kept and was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.records import Cell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.training.train import train_workload
from bench.workloads.builtin import DUMMY
from bench.workloads.checkpoints import REWIND
from tests.helpers.cells import NUM_IMAGES, cell, record_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train_workload(DUMMY, folder, steps=4)
    return folder


def on(folder: Path, strategy: str) -> Cell:
    thing = cell(strategy, recovery="finetune-4")
    return thing.model_copy(update={"checkpoint": str(folder)})


def test_a_training_kept_without_its_snapshot_is_pruned_but_not_rewound(trained: Path) -> None:
    rewind = "l1-weight-global+lottery-rewind"
    assert record_of(on(trained, rewind), Workshop(Settings(num_images=NUM_IMAGES))).status == "ok"
    for part in REWIND:
        (trained / f"{part}.safetensors").unlink()
    shop = Workshop(Settings(num_images=NUM_IMAGES))
    record = record_of(on(trained, rewind), shop)
    assert record.status == "not-applicable" and record.numbers == {}
    assert "without the snapshot from early in its training" in record.reason
    for other in ("l1-weight-global", "l1-weight-global+lottery-init"):
        assert record_of(on(trained, other), shop).status == "ok"
