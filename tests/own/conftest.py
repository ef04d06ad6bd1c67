"""A user's folder: a Python file, weights, pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.experiments import check_workloads
from bench.workloads.spec import WorkloadSpec
from tests.helpers.pictures import pictures, write_pictures

Describe = Callable[..., WorkloadSpec]

NOISE = {"kind": "normal", "shape": [12, 1, 1]}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the user has: ``gans.py``, a checkpoint of two networks, labelled pictures."""
    home = tmp_path_factory.mktemp("user")
    shutil.copy(Path(__file__).parent / "gans.py", home / "gans.py")
    write_pictures(home / "photos", pictures())
    from tests.own.gans import Dcgan, Discriminator

    torch.manual_seed(0)
    content = {
        "netG_state_dict": {f"module.{name}": value for name, value in Dcgan().state_dict().items()},
        "netD_state_dict": Discriminator().state_dict(),
        "epoch": 7,
    }
    torch.save(content, home / "both.pth")
    return home


@pytest.fixture
def describe(folder: Path) -> Describe:
    """A table with what is always needed; ``describe(key=value)`` adds or replaces."""

    def make(**table: Any) -> WorkloadSpec:
        plain = {
            "name": "mine",
            "factory": "gans.py:Dcgan",
            "inputs": [NOISE],
            "reference": "photos",
            "extractor": "gans.py:judge",
            "folder": str(folder),
        }
        (spec,) = check_workloads([plain | table], "test")
        return spec

    return make
