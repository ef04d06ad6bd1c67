"""A training that is killed and goes on with the same bits, seen from the outside: through its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.records import Cell, Record
from bench.records.store import RunStore
from bench.sweep.cell import run_cell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.training.diary import Diary
from bench.training.loop import GanTraining, StepStats
from bench.training.recovery import run as recovering
from bench.training.recovery import watched_steps
from bench.training.resume import STATE_FILE
from tests.helpers.cells import NUM_IMAGES, cell

STEPS = 8
TRAINED = [
    cell("l1-weight-global", 0.7, recovery=f"finetune-{STEPS}"),
    cell("l1-channel-global", recovery=f"finetune-{STEPS}-d.adapt-distil.feature"),
    cell("l1-weight-global", 0.7, recovery=f"finetune-{STEPS}-d.pruned-distil.dfeature"),
    cell("dense", recovery=f"finetune-{STEPS}-d.reset"),
    cell("rownorm-channel+everystep", recovery=f"finetune-{STEPS}-d.pruned-distil.feature", level={"threshold": 0.5}),
]


def steps_left(done: int, thing: Cell) -> int:
    """Of a training of which ``done`` steps are kept; with it, the dense one that it is compared with is trained."""
    return STEPS - done + (0 if thing.strategy == "dense" else STEPS)


class Killed(BaseException):
    """Nothing catches it, as nothing catches a signal."""


Kill = Callable[[int | None], None]


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Kill:
    """``kill(5)``: the process ends in its sixth step, whatever step of the training that is; None: it does not."""
    monkeypatch.setattr(recovering, "SAVE_SECONDS", 0.0)
    original, left = GanTraining.step, [STEPS]

    def step(self: GanTraining) -> StepStats:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return original(self)

    monkeypatch.setattr(GanTraining, "step", step)

    def after(steps: int | None) -> None:
        left[0] = 10**9 if steps is None else steps

    return after


def run(thing: Cell, folder: Path, *, curve: bool = True) -> Record:
    """In a process of its own, as far as memory goes."""
    shop = Workshop(Settings(num_images=NUM_IMAGES, run=folder, curve=curve))
    return run_cell(thing, shop)


def the_same(one: Record, other: Record) -> bool:
    times = {"cost", "provenance"}
    return one.model_dump(exclude=times) == other.model_dump(exclude=times)


@pytest.mark.parametrize("thing", TRAINED, ids=lambda thing: f"{thing.strategy}-{thing.recovery}")
def test_a_killed_training_goes_on_to_the_same_record(thing: Cell, kill: Kill, tmp_path: Path) -> None:
    kill(None)
    undisturbed = run(thing, tmp_path / "whole")
    for steps in (3, 1):
        kill(steps)
        with pytest.raises(Killed):
            run(thing, tmp_path / "cut")
    kill(steps_left(4, thing))  # not a single step is done twice
    resumed = run(thing, tmp_path / "cut")
    assert the_same(undisturbed, resumed)
    assert [point["step"] for point in resumed.curve] == watched_steps(STEPS)
    assert resumed.cost.train_steps == STEPS


def test_the_state_goes_when_the_record_is_written(kill: Kill, tmp_path: Path) -> None:
    kill(3)
    with pytest.raises(Killed):
        run(TRAINED[0], tmp_path)
    store = RunStore(tmp_path)
    (state,) = (store.paths.root / "training").iterdir()
    assert {file.name for file in state.iterdir()} == {STATE_FILE}
    kill(None)
    store.write_record(run(TRAINED[0], tmp_path))
    assert not state.exists()


@pytest.mark.parametrize("damage", ["half", "unwatched"])
def test_a_state_that_cannot_be_continued_means_from_the_beginning(damage: str, kill: Kill, tmp_path: Path) -> None:
    thing = TRAINED[3]
    kill(3)
    with pytest.raises(Killed):
        run(thing, tmp_path / "cut", curve=damage != "unwatched")
    (folder,) = (tmp_path / "cut" / "training").iterdir()
    if damage == "half":
        (folder / STATE_FILE).write_bytes((folder / STATE_FILE).read_bytes()[:2000])
    kill(steps_left(0, thing))
    again = run(thing, tmp_path / "cut")
    kill(None)
    assert the_same(again, run(thing, tmp_path / "whole"))


def test_the_time_of_the_killed_processes_counts(kill: Kill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Diary.notes
    monkeypatch.setattr(Diary, "notes", lambda self, seconds: notes(self, seconds + 1000))
    kill(3)
    with pytest.raises(Killed):
        run(TRAINED[3], tmp_path)
    kill(None)
    assert run(TRAINED[3], tmp_path).cost.recover_seconds > 1000
