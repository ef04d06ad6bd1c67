"""The same from Python: `ganprune.run`, `ganprune.load_run`, `ganprune.load`, `ganprune.draw_report`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import ganprune
from bench.base.errors import Mistakes, UserError
from bench.report.loading import read_run
from bench.sweep.run import Outcome
from bench.tables.tidy import TIDY_COLUMNS
from tests.helpers.cells import write_experiment
from tests.helpers.executor import InProcess


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    write_experiment(folder, seeds=[0, 1], recovery=["finetune-1"])
    return folder


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.sweep.run.LocalExecutor", InProcess)
        return ganprune.run(folder / "mini.toml", ["sparsities=[0.5]"], results=folder / "r", reports=folder / "p")


def test_run_measures_and_reports(outcome: Outcome, folder: Path) -> None:
    assert (outcome.cells, outcome.failed) == (4, 0)
    assert outcome.folder == folder / "r" / "runs" / "mini" / "main"
    assert list((folder / "p" / "mini").iterdir())


@pytest.mark.parametrize("by", ["name", "path"])
def test_load_run_is_a_tidy_frame(by: str, outcome: Outcome, folder: Path) -> None:
    frame = ganprune.load_run("mini" if by == "name" else outcome.folder, results=folder / "r")
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == TIDY_COLUMNS
    assert set(frame["strategy"]) == {"dense", "l1-weight-global"}
    assert set(frame["seed"]) == {0, 1}
    assert frame.groupby(["strategy", "seed", "metric"]).size().eq(1).all()


def test_load_gives_a_pruned_generator_of_the_run(outcome: Outcome) -> None:
    masks = sorted((outcome.folder / "artifacts").glob("*/masks.safetensors"))
    generator = ganprune.load(masks[0].parent)
    weights = [p for name, p in generator.named_parameters() if name.endswith("weight") and p.ndim > 1]
    zeros = sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
    assert zeros == pytest.approx(0.5, abs=0.001)


def test_a_report_can_be_drawn_again(outcome: Outcome, folder: Path, tmp_path: Path) -> None:
    page = ganprune.draw_report("mini", results=folder / "r", reports=tmp_path)
    assert page.is_file() and page.parent == tmp_path / "mini"


def test_what_a_run_can_tell_and_what_must_be_added(outcome: Outcome, folder: Path) -> None:
    (found,) = ganprune.power("mini", 1.5, results=folder / "r", reference="dense")
    (one,) = found.family.members
    assert (one.claim.strategy, one.kind, one.design.seeds) == ("l1-weight-global", "drawn", 2)
    assert [added.amount for added in found.additions] == [1.5]
    assert ganprune.power(outcome.folder, "1.5", reference="dense")[0].wanted == found.wanted
    with pytest.raises(UserError, match="difference: '0' is no difference"):
        ganprune.power(outcome.folder, "0")


def test_claims_are_those_of_the_report_and_a_reference_has_to_be_there(outcome: Outcome, folder: Path) -> None:
    table = ganprune.claims("mini", "dense", results=folder / "r")
    assert set(table["of"]) == {"reference", "dense"} and set(table["other"]) == {"dense"}
    with pytest.raises(UserError, match="no strategy 'nobody' in this run; expected dense, best, or one of"):
        ganprune.claims("mini", "nobody", results=folder / "r")


def test_contributions_that_were_lost_are_said(outcome: Outcome, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(outcome.folder, run)
    assert not any("have lost" in text for text in read_run(run).excluded)
    first, second, *_ = sorted((run / "images").iterdir())
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    assert any(text.startswith("2 of 4 cells have lost") for text in read_run(run).excluded)


def test_run_without_reports_draws_none(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.sweep.run.LocalExecutor", InProcess)
    monkeypatch.chdir(tmp_path)
    ganprune.run(folder / "mini.toml", ['strategies=["dense"]', "seeds=[0]"], reports=None)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_mistakes_are_raised_all_at_once(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Mistakes) as caught:
        ganprune.run(folder / "mini.toml", ["sparsities=[7]", "seeds=[-1]"], results=tmp_path)
    assert len(caught.value.mistakes) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_there_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ganprune run mini"):
        ganprune.load_run("mini", results=tmp_path)
