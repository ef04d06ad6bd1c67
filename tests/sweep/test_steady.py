"""A generator that draws by itself is said by a run and flagged in its records, as the check says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.experiments import load_experiment
from bench.records.store import RunStore
from bench.sweep.plan import announce_training
from bench.sweep.progress import Silent
from bench.sweep.run import run_experiment
from bench.sweep.steady import FLAG
from tests.helpers.executor import InProcess
from tests.own.conftest import Describe, describe, folder

__all__ = ["describe", "folder"]


class Noted(Silent):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize(("factory", "drawing"), [("Noisy", True), ("Dcgan", False)])
def test_records_of_a_generator_that_draws_are_flagged(
    describe: Describe, tmp_path: Path, factory: str, drawing: bool
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        "[experiment]\nname = 'mine'\nworkloads = ['mine']\nstrategies = ['l1-weight-global']\nsparsities = [0.5]\n"
        "recovery = ['none']\nseeds = [0]\n[quality]\nmetrics = ['fid']\nnum_images = 20\n"
        "[latency]\nenabled = false\n"
    )
    watching = Noted()
    loaded = load_experiment(file, own=[describe(factory=f"gans.py:{factory}")])
    outcome = run_experiment(loaded, results=tmp_path, executor=InProcess(), progress=watching)
    store = RunStore(outcome.folder)
    records = [store.read_record(planned) for planned in store.read_manifest().cells]
    assert len(records) == 2
    assert all(record is not None and (FLAG in record.provenance.flags) == drawing for record in records)
    assert any("the same inputs give other images the second time" in note for note in watching.notes) == drawing


def test_a_judge_that_is_trained_first_is_announced(describe: Describe, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[experiment]\nname = 'mine'\nworkloads = ['mine']\nstrategies = ['l1-weight-global']\n")
    for extractor, expected in (("auto:classifier", 1), ("gans.py:judge", 0)):
        notes: list[str] = []
        announce_training(load_experiment(file, own=[describe(extractor=extractor)]), notes.append)
        assert len(notes) == expected
        assert all("auto:classifier is trained for mine now" in note for note in notes)
