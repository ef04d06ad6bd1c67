"""How a recovery trains: the workload's own way, but at a learning rate that stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench.records import CurvePoint
from bench.training.diary import Diary
from bench.training.loop import StepStats
from bench.training.recovery import parse_recovery, recover
from bench.training.recovery import run as run_module
from bench.training.recovery.course import Course, begin
from bench.training.recovery.run import WATCHED, _check, _continued, watched_steps
from bench.training.resume import load_training, save_training
from bench.workloads.data import DATA_SOURCES
from bench.workloads.loaded import Gan
from strategies.base import Diverged, NotApplicable
from tests.training.test_recovery import PLAIN, checkpoint, pruned, same

SPEC = replace(PLAIN.recipe.spec, lr=0.002, lr_discriminator=0.004)


def gan(lr_decay: str) -> Gan:
    """The plain workload, as if its weights had been trained with this course of the learning rate."""
    spec = replace(SPEC, lr_decay=lr_decay)  # type: ignore[arg-type]
    workload = replace(PLAIN, recipe=replace(PLAIN.recipe, spec=spec))
    return Gan(workload, checkpoint("plain"), DATA_SOURCES[PLAIN.data]())


@pytest.mark.parametrize("lr_decay", ["none", "linear"])
def test_the_learning_rate_of_a_recovery_is_that_of_the_training_and_stays(lr_decay: str) -> None:
    course = begin(parse_recovery("finetune-6"), gan(lr_decay), pruned("plain", "l1-weight-global"), 0)
    rates = []
    for _ in range(6):
        course.step()
        optimizers = (course.training.opt_g, course.training.opt_d)
        rates.append(tuple(group["lr"] for optimizer in optimizers for group in optimizer.param_groups))
    assert rates == [(0.002, 0.004)] * 6


def test_how_the_weights_were_trained_before_changes_no_recovery() -> None:
    start = pruned("plain", "l1-weight-global")
    one, other = (recover(parse_recovery("finetune-6"), gan(way), start, seed=3) for way in ("none", "linear"))
    assert same(one.generator, other.generator)
    assert not all(
        torch.equal(a, b) for a, b in zip(one.generator.parameters(), start.generator.parameters(), strict=True)
    )


def kept_at(folder: Path, step: int) -> None:
    """The state of a training that nobody watched, after ``step`` steps and 7.5 seconds."""
    course = fresh()
    for _ in range(step):
        course.step()
    folder.mkdir(exist_ok=True)
    save_training(folder, course.training, Diary().notes(7.5))


def fresh() -> Course:
    return begin(parse_recovery("finetune-6"), gan("none"), pruned("plain", "l1-weight-global"), 0)


def test_an_interrupted_training_goes_on_where_it_stood(tmp_path: Path) -> None:
    kept_at(tmp_path, 4)
    run = _continued(tmp_path, fresh, [])
    assert run is not None and run.course.training.step_count == 4
    assert (run.earlier, run.scratch) == (7.5, tmp_path)
    assert run.until(6) and run.course.training.step_count == 6 and len(run.diary.stats) == 2


def test_a_training_that_nobody_watched_starts_anew_where_it_is_to_be_watched(tmp_path: Path) -> None:
    kept_at(tmp_path, 4)
    assert _continued(tmp_path, fresh, [0, 3, 6]) is None
    # What is to be seen from the step on that it stands at can still be seen.
    assert _continued(tmp_path, fresh, [4, 6]) is not None


def test_without_a_state_or_with_a_damaged_one_a_training_starts_anew(tmp_path: Path) -> None:
    assert _continued(None, fresh, []) is None
    assert _continued(tmp_path / "nothing", fresh, []) is None
    assert _continued(tmp_path, fresh, []) is None
    kept_at(tmp_path, 2)
    (state,) = tmp_path.iterdir()
    state.write_bytes(state.read_bytes()[:100])
    assert _continued(tmp_path, fresh, []) is None


def test_what_earlier_processes_took_is_told(tmp_path: Path) -> None:
    kept_at(tmp_path, 5)
    start = pruned("plain", "l1-weight-global")
    whole = recover(parse_recovery("finetune-6"), gan("none"), start, seed=0)
    rest = recover(parse_recovery("finetune-6"), gan("none"), start, seed=0, scratch=tmp_path)
    assert (whole.earlier_seconds, rest.earlier_seconds) == (0.0, 7.5)
    assert same(whole.generator, rest.generator)


@pytest.mark.parametrize(("passed", "saved"), [(59.0, False), (60.0, True), (61.0, True)])
def test_a_training_is_saved_once_a_minute_with_the_seconds_that_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: float, saved: bool
) -> None:
    """It began at 1000 s on a clock by hand, after an earlier process that took 7.5 s."""
    now = {"clock": 1000.0}
    monkeypatch.setattr(run_module, "time", SimpleNamespace(perf_counter=lambda: now["clock"]))
    kept_at(tmp_path, 2)
    run = _continued(tmp_path, fresh, [])
    assert run is not None
    run.begun, run.saved = 1000.0, 1040.0
    now["clock"] = 1040.0 + passed
    assert run.until(3)
    course = fresh()
    _, notes = load_training(tmp_path, course.training)
    assert course.training.step_count == (3 if saved else 2)
    assert Diary.of(notes).seconds == (7.5 + 40.0 + passed if saved else 7.5)
    assert run.saved == (now["clock"] if saved else 1040.0)


def test_a_training_is_looked_at_at_even_steps() -> None:
    assert watched_steps(40) == [round(i * 40 / WATCHED) for i in range(WATCHED + 1)]
    assert watched_steps(1) == [0, 1] and watched_steps(3) == [0, 1, 2, 3]


def test_a_network_that_is_not_trained_took_no_time() -> None:
    found = recover(parse_recovery("none"), gan("none"), pruned("plain", "l1-weight-global"), seed=0)
    assert (found.watch_seconds, found.earlier_seconds, found.images, found.curve, found.points) == (0, 0, 0, (), ())


def test_labels_are_checked_for_a_training_against_d_alone() -> None:
    class Refuses:
        def check(self, labels: object, name: str) -> None:
            raise NotApplicable("no labels")

    given = gan("none")
    refusing = replace(given, workload=replace(given.workload, condition=Refuses()))  # type: ignore[arg-type]
    for name in ("none", "bn-recalibrate", "distil-6-output"):
        _check(parse_recovery(name), refusing, None)
    with pytest.raises(NotApplicable, match="no labels"):
        _check(parse_recovery("finetune-6"), refusing, None)


def test_a_training_that_loses_its_network_is_looked_at_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Course.step

    def lost_after_three(self: Course) -> StepStats:
        if self.training.step_count == 3:
            raise Diverged("the weights are no longer finite")
        return step(self)

    monkeypatch.setattr(Course, "step", lost_after_three)
    seen: list[int] = []

    def watch(at: int, generator: torch.nn.Module, since: Sequence[StepStats]) -> CurvePoint:
        seen.append(at)
        return CurvePoint(step=at, quality=None, loss_g=None, loss_d=None)

    found = recover(parse_recovery("finetune-6"), gan("none"), pruned("plain", "l1-weight-global"), seed=0, watch=watch)
    assert seen == [0, 1, 2, 3] == [point["step"] for point in found.points]
    assert len(found.curve) == 3 and found.pruned is not None
