"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.records import Cell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.workloads.builtin import BUILT_IN
from tests.helpers.cells import NUM_IMAGES
from tests.helpers.networks import TINY_MLP
from tests.helpers.properties import forget_constants, register_profiles, seed_everything

register_profiles()
forget_constants()


def pytest_runtest_setup() -> None:
    seed_everything()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in a worker: numbers are only bit-identical for the same number of threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that a test makes lands in the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANPRUNE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def shop() -> Workshop:
    """A workshop that writes nothing."""
    return Workshop(Settings(num_images=NUM_IMAGES, catalogue=BUILT_IN.plus(TINY_MLP)))


@pytest.fixture
def tiny_mlp() -> str:
    """The name, in `shop`, of a workload without BatchNorm and without a discriminator."""
    return TINY_MLP.name


@pytest.fixture
def dense() -> Cell:
    return Cell(workload="dummy", strategy="dense", level={"sparsity": 0.0}, recovery="none", seed=0)


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    """A folder for one artefact, not yet there."""
    return tmp_path / "artefact"
