"""What the tests of commands share."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import bench
import bench.cli
import bench.cli.terminal
from bench.cli import command
from tests.helpers.cells import write_experiment
from tests.helpers.command import Answer, Command
from tests.helpers.executor import InProcess


@pytest.fixture
def ganprune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in an empty folder, cells in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.sweep.run.LocalExecutor", InProcess)

    def call(*arguments: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", ["ganprune", *map(str, arguments)])
        code = command()
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment `mini.toml`, a finished run of it, and its report."""
    folder = tmp_path_factory.mktemp("finished")
    write_experiment(folder, strategies=["l1-weight-global", "l1-channel-global"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bench.sweep.run.LocalExecutor", InProcess)
        bench.run("mini.toml")
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """The finished experiment and run, to be spoiled; the run's folder. The report is left out."""
    shutil.copytree(finished / "results", tmp_path / "results")
    shutil.copy(finished / "mini.toml", tmp_path)
    return Path("results/runs/mini/main")
