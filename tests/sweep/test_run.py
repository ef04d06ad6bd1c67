"""A whole experiment: what is missing is measured, what is finished is kept, whatever happens in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bench.sweep.keys
import bench.sweep.run
from bench.base.code import Code
from bench.base.errors import UserError
from bench.base.files import write_atomically
from bench.executors import Resources
from bench.experiments import Experiment
from bench.records import SCHEMA_VERSION, Cell, Failure, Record
from bench.records.store import RunStore
from bench.report.loading import read_run
from bench.sweep.cell import run_cell
from bench.sweep.plan import make_plan, settings_of
from bench.sweep.run import run_experiment
from tests.helpers.cells import experiment, write_experiment
from tests.helpers.executor import InProcess
from tests.helpers.sweeps import Sweeps

# What is run


def test_a_run_has_a_record_for_every_cell(sweep: Sweeps) -> None:
    outcome = sweep(sparsities=[0.3, 0.5], seeds=[0, 1])
    assert (outcome.cells, outcome.finished_before, outcome.failed) == (6, 0, 0)
    assert len(sweep.files()) == 6
    assert outcome.folder == sweep.results / "runs" / "mini" / "main"


def test_running_again_does_nothing(sweep: Sweeps) -> None:
    sweep()
    before = sweep.files()
    outcome = sweep()
    assert sweep.ran == []
    assert outcome.finished_before == outcome.cells == 2
    assert sweep.files() == before


def test_another_sparsity_measures_only_its_cells_and_leaves_the_others_alone(sweep: Sweeps) -> None:
    sweep(sparsities=[0.3], seeds=[0, 1])
    before = sweep.files()
    sweep(sparsities=[0.3, 0.5], seeds=[0, 1])
    assert sweep.ran == [f"dummy l1-weight-global @0.5 none seed {seed}" for seed in (0, 1)]
    after = sweep.files()
    assert {name: after[name] for name in before} == before


def test_fewer_sparsities_delete_nothing_and_leave_the_rest_out_of_the_manifest(sweep: Sweeps) -> None:
    sweep(sparsities=[0.3, 0.5])
    before = sweep.files()
    outcome = sweep(sparsities=[0.3])
    assert sweep.files() == before
    assert len(RunStore(outcome.folder).read_manifest().cells) == 2


def test_dense_cells_come_before_all_others(sweep: Sweeps) -> None:
    sweep(seeds=[0, 1])
    assert [item.cell.strategy for item in sweep.executor.items] == ["dense"] * 2 + ["l1-weight-global"] * 2


def test_timings_are_taken_alone_on_the_machine(sweep: Sweeps) -> None:
    sweep(latency=True)
    *cells, timings = sweep.executor.stages
    assert not any(stage.resources.exclusive for stage in cells)
    assert timings.resources == Resources(device="cpu", exclusive=True)


def test_who_watches_is_told_each_cell_once(sweep: Sweeps) -> None:
    sweep(sparsities=[0.3, 0.5])
    assert sweep.phases == [("quality", 3)]
    assert len(set(sweep.labels)) == len(sweep.labels) == 3


def test_a_cell_that_does_not_fit_is_a_record_and_no_failure(sweep: Sweeps) -> None:
    outcome = sweep(strategies=["rownorm-channel+everystep"])
    assert outcome.failed == 0
    assert json.loads(sweep.record("everystep").read_text())["status"] == "not-applicable"


def test_each_architecture_is_timed_once(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.sweep.run.NOT_TIMED_YET", frozenset())  # a busy machine is no reason to fail
    strategies = ["l1-weight-global", "random-weight-global", "l1-channel-global"]
    sweep(strategies=strategies, seeds=[0, 1], latency=True)
    assert [total for name, total in sweep.phases if name == "latency"] == [2]
    assert len(sweep.files("latency")) == 2
    before = sweep.files("latency")
    sweep(strategies=strategies, seeds=[0, 1], latency=True)
    assert sweep.files("latency") == before


# Damage and failure


@pytest.mark.parametrize("content", [b"", b"{", bytes(range(256))], ids=["empty", "cut", "binary"])
def test_a_damaged_record_is_noted_and_measured_again(sweep: Sweeps, content: bytes) -> None:
    sweep()
    whole = json.loads(sweep.record("l1-weight").read_text())
    sweep.record("l1-weight").write_bytes(content)
    outcome = sweep()
    assert sweep.ran == ["dummy l1-weight-global @0.5 none seed 0"]
    assert (outcome.finished_before, outcome.failed) == (1, 0)
    (note,) = sweep.notes
    assert str(sweep.record("l1-weight")) in note and note.endswith("It is measured again.")
    assert json.loads(sweep.record("l1-weight").read_text())["numbers"] == whole["numbers"]


def test_a_damaged_timing_is_noted_and_measured_again(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(latency=True)
    (name,) = sweep.files("latency")
    path = sweep.results / "runs" / "mini" / "main" / "latency" / name
    path.write_text("{")
    sweep(latency=True)
    assert len(sweep.notes) == 1 and str(path) in sweep.notes[0]
    assert json.loads(path.read_text())["workload"] == "dummy"


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Exception]]:
    """Label -> what running that cell raises."""
    faults: dict[str, Exception] = {}

    def run(cell: Cell, *rest: Any) -> Record:
        if cell.label in faults:
            raise faults[cell.label]
        return run_cell(cell, *rest)

    monkeypatch.setattr(bench.sweep.run, "run_cell", run)
    yield faults


BAD = "dummy l1-weight-global @0.5 none seed 0"


def test_a_failed_cell_stands_in_failures_only_and_the_sweep_goes_on(
    sweep: Sweeps, faulty: dict[str, Exception]
) -> None:
    faulty[BAD] = ValueError("no idea")
    outcome = sweep(seeds=[0, 1])
    assert outcome.failed == 1
    assert len(sweep.files()) == 3
    ((name, (_, content)),) = sweep.files("failures").items()
    assert name not in sweep.files()
    failure = Failure.model_validate_json(content)
    assert (failure.cell.label, failure.error, failure.attempt) == (BAD, "ValueError: no idea", 1)
    assert "Traceback" in failure.traceback
    assert sweep.notes == [f"failed: {BAD}: ValueError: no idea"]


def test_a_failed_cell_is_tried_again_and_its_attempts_are_counted(sweep: Sweeps, faulty: dict[str, Exception]) -> None:
    faulty[BAD] = ValueError("no idea")
    for attempt in (1, 2):
        sweep()
        ((_, content),) = sweep.files("failures").values()
        assert Failure.model_validate_json(content).attempt == attempt
    assert sweep.ran == [BAD]


def test_a_failure_that_goes_well_at_last_is_forgotten(sweep: Sweeps, faulty: dict[str, Exception]) -> None:
    faulty[BAD] = ValueError("no idea")
    sweep()
    faulty.clear()
    outcome = sweep()
    assert (outcome.failed, sweep.files("failures")) == (0, {})
    assert len(sweep.files()) == 2


def test_a_damaged_record_whose_cell_fails_does_not_stop_the_run(sweep: Sweeps, faulty: dict[str, Exception]) -> None:
    sweep(latency=True)
    sweep.record("l1-weight").write_text("{")
    faulty[BAD] = ValueError("no idea")
    assert sweep(latency=True).failed == 1


def test_a_failed_timing_is_kept_tried_again_and_forgotten_when_it_goes_well(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoClock:
        def __init__(self, workloads: object) -> None: ...

        def __call__(self) -> Any:
            def fail(_: object) -> object:
                raise ValueError("no clock")

            return fail

    store = RunStore(sweep.results / "runs" / "mini" / "main")
    with monkeypatch.context() as broken:
        broken.setattr(bench.sweep.run, "LatencySetup", NoClock)
        for attempt in (1, 2):
            outcome = sweep(latency=True)
            (failure,) = store.latency_failures()
            assert (outcome.failed, outcome.failed_timings, failure.attempt) == (0, 1, attempt)
    assert (failure.workload, failure.batch, failure.error) == ("dummy", 1, "ValueError: no clock")
    assert "Traceback" in failure.traceback
    (shown,) = read_run(store.paths.root).failed_timings
    assert shown == failure
    assert sweep(latency=True).failed_timings == 0
    assert (sweep.files("failures"), len(sweep.files("latency"))) == ({}, 1)
    assert list(read_run(store.paths.root).failed_timings) == []


def test_a_mistake_of_the_user_ends_the_run_and_keeps_what_is_finished(
    sweep: Sweeps, faulty: dict[str, Exception]
) -> None:
    faulty[BAD] = UserError("weights: damaged.")
    with pytest.raises(UserError, match="weights: damaged"):
        sweep()
    assert [name.split("--")[1] for name in sweep.files()] == ["dense"]
    faulty.clear()
    sweep()
    assert sweep.ran == [BAD]


def test_a_full_disk_is_one_sentence_and_what_is_finished_stays(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep()
    before = sweep.files()
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("bench.base.files.os.fsync", full)
        with pytest.raises(UserError, match="the disk is full"):
            sweep(sparsities=[0.5, 0.7])
    assert sweep.files() == before
    sweep(sparsities=[0.5, 0.7])
    assert sweep.ran == ["dummy l1-weight-global @0.7 none seed 0"]


@pytest.mark.parametrize("kind", ["samples", "artifacts"])
def test_a_full_disk_for_pictures_or_weights_is_one_sentence_too(
    sweep: Sweeps, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These are written by the workers."""
    real = write_atomically

    def full(path: Path, content: bytes | str) -> None:
        if kind in path.parts:
            raise OSError(28, "No space left on device")
        real(path, content)

    for module in ("bench.sweep.measuring", "bench.workloads.store"):
        monkeypatch.setattr(f"{module}.write_atomically", full)
    with pytest.raises(UserError, match="the disk is full"):
        sweep(recovery=["finetune-1"])


# What killed processes leave


def test_the_next_run_removes_trainings_that_nobody_will_continue(sweep: Sweeps, faulty: dict[str, Exception]) -> None:
    faulty[BAD] = ValueError("no idea")
    folder = sweep().folder
    (live,) = (p for p in RunStore(folder).read_manifest().cells if p.cell.label == BAD)
    kept = [RunStore(folder).paths.training(live.keys.eval), folder / "training" / "notes", folder / "training" / "x"]
    stale = folder / "training" / ("0" * 16)
    for place in [*kept[:2], stale]:
        place.mkdir(parents=True)
        (place / "training.safetensors").write_bytes(b"begun")
    kept[2].write_text("a file")
    sweep()
    assert not stale.exists()
    assert all(place.exists() for place in kept)
    assert (kept[0] / "training.safetensors").read_bytes() == b"begun"


def test_the_next_run_removes_temporary_files_of_its_folders_and_no_others(sweep: Sweeps) -> None:
    folder = sweep().folder
    stale = [folder / place / ".a.json.x1y2z3w4.tmp" for place in (".", "cells", "latency", "failures", "samples")]
    stale += [folder / "artifacts" / "key" / ".a.x1y2z3w4.tmp", folder / "training" / "notes" / ".a.x1y2z3w4.tmp"]
    others = [
        folder / "cells" / ".a.tmp",
        folder / "cells" / "mine.tmp",
        folder / "mine" / ".a.tmp",
        folder.parent / ".a.tmp",
    ]
    for path in [*stale, *others]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    elsewhere = sweep.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".a.tmp").write_text("theirs")
    (folder / "artifacts" / "linked").symlink_to(elsewhere)
    before = sweep.files()
    sweep()
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in [*others, elsewhere / ".a.tmp"])
    assert sweep.files() == {name: file for name, file in before.items() if name != stale[1].name}


def test_nothing_is_removed_while_another_process_writes_the_run(sweep: Sweeps) -> None:
    folder = sweep().folder
    writing = folder / "cells" / ".a.json.x1y2.tmp"
    writing.write_text("half")
    with RunStore(folder).writing(), pytest.raises(UserError, match="another ganprune is writing"):
        sweep()
    assert writing.exists()


# Runs


def test_a_second_run_at_the_same_time_is_refused(sweep: Sweeps) -> None:
    outcome = sweep()
    with (
        RunStore(outcome.folder).writing(),
        pytest.raises(UserError, match="another ganprune is writing this run"),
    ):
        sweep()


def test_a_named_run_stands_beside_main(sweep: Sweeps) -> None:
    sweep()
    assert sweep(run="other").folder.name == "other"
    assert len(sweep.ran) == 2
    assert len(sweep.files()) == len(sweep.files(run="other")) == 2


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(sweep: Sweeps, name: str) -> None:
    with pytest.raises(UserError, match="--run"):
        sweep(run=name or "/")
    assert not sweep.results.exists()


def test_fresh_begins_a_new_run(sweep: Sweeps) -> None:
    first = sweep().folder
    second = sweep(fresh=True).folder
    assert second.parent == first.parent and second != first
    assert len(sweep.ran) == 2


def test_fresh_does_not_continue_an_old_run(sweep: Sweeps) -> None:
    sweep(run="mine")
    with pytest.raises(UserError, match="exists already"):
        sweep(run="mine", fresh=True)


def test_a_run_of_another_schema_version_is_refused_and_left_alone(sweep: Sweeps) -> None:
    folder = sweep().folder
    manifest = folder / "manifest.json"
    text = json.dumps(json.loads(manifest.read_text()) | {"schema_version": 99, "new_field": 1})
    manifest.write_text(text)
    with pytest.raises(
        UserError, match=rf"manifest\.json: has schema version 99, this ganprune writes {SCHEMA_VERSION}"
    ):
        sweep()
    assert manifest.read_text() == text
    assert sweep(fresh=True).finished_before == 0


def test_resuming_under_other_versions_warns_and_keeps_what_is_there(sweep: Sweeps) -> None:
    path = sweep().folder / "environment.json"
    environment = json.loads(path.read_text())
    environment["libraries"]["torch"] = "1.0"
    path.write_text(json.dumps(environment))
    outcome = sweep()
    assert outcome.finished_before == 2
    (note,) = sweep.notes
    assert "torch 1.0 -> " in note


def test_a_device_that_is_not_here_is_refused_before_any_work(sweep: Sweeps, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--device abacus: not a device"):
        run_experiment(experiment(tmp_path), results=sweep.results, device="abacus", executor=InProcess())
    assert not sweep.results.exists()


def test_a_judge_of_other_images_is_refused_before_any_work(sweep: Sweeps) -> None:
    with pytest.raises(UserError, match=r"quality\.extractor: 'mnist-lenet' judges images of \(1, 28, 28\)"):
        sweep('extractor="mnist-lenet"')
    assert not sweep.results.exists()


# Keys


def keys_of(thing: Experiment) -> dict[str, str]:
    plan = make_plan(thing, settings_of(thing))
    return {planned.cell.label: planned.keys.eval for planned in plan.cells}


def test_every_cell_has_a_key_of_its_own(tmp_path: Path) -> None:
    keys = keys_of(
        experiment(
            tmp_path,
            strategies=["l1-weight-global", "l1-weight-uniform", "l1-channel-uniform", "rownorm-channel+everystep"],
            sparsities=[0.3, 0.5],
            seeds=[0, 1],
            recovery=["none", "bn-recalibrate", "finetune-2", "finetune-2-d.frozen"],
        )
    )
    assert len(keys) == len(set(keys.values())) == (1 + 4 * 2) * 2 * 4


def test_the_rest_of_the_experiment_does_not_enter_a_key(tmp_path: Path) -> None:
    small = keys_of(experiment(tmp_path))
    large = keys_of(
        experiment(
            tmp_path,
            'reference="dense"',
            "gate.margins.time=0.02",
            name="other",
            strategies=["random-weight-global", "l1-weight-global"],
            sparsities=[0.1, 0.5],
            seeds=[4, 0],
            recovery=["bn-recalibrate", "none"],
            latency=True,
        )
    )
    assert {label: large[label] for label in small} == small


def test_keys_are_the_same_in_another_process(tmp_path: Path) -> None:
    path = write_experiment(tmp_path, strategies=["l1-channel-global", "random-weight-global"], recovery=["finetune-2"])
    code = (
        "import json, sys; from bench.experiments import load_experiment; from bench.sweep.plan import *\n"
        "thing = load_experiment(sys.argv[1]); plan = make_plan(thing, settings_of(thing))\n"
        "print(json.dumps({p.cell.label: p.keys.eval for p in plan.cells}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    own = experiment(tmp_path, strategies=["l1-channel-global", "random-weight-global"], recovery=["finetune-2"])
    assert json.loads(answer.stdout) == keys_of(own)


def test_another_number_of_images_is_another_key_of_the_same_network(tmp_path: Path) -> None:
    plans = [
        make_plan(thing, settings_of(thing)) for thing in (experiment(tmp_path), experiment(tmp_path, "num_images=60"))
    ]
    first, second = (plan.cells[1].keys for plan in plans)
    assert first.prune == second.prune
    assert first.eval != second.eval


def test_a_changed_definition_never_reuses_an_old_number(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep()
    before = sweep.files()
    hashes = bench.sweep.keys.hashes

    def changed(parts: dict[str, frozenset[str]], code: Code) -> dict[str, str]:
        return hashes(parts, code) | ({"strategy": "changed"} if "strategy" in parts else {})

    monkeypatch.setattr(bench.sweep.keys, "hashes", changed)
    outcome = sweep()
    assert sweep.ran == [BAD]  # dense is defined without any strategy
    assert outcome.finished_before == 1
    assert len(sweep.files()) == 3
    assert {name: sweep.files()[name] for name in before} == before


def test_a_run_with_keys_of_another_version_is_told_apart_in_one_sentence(sweep: Sweeps) -> None:
    sweep()
    manifest = sweep.results / "runs" / "mini" / "main" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"keys_version": 2', '"keys_version": 1'))
    before = sweep.files()
    sweep()
    assert len([note for note in sweep.notes if "keys of version 1" in note]) == 1
    assert sweep.files() == before
    sweep()
    assert len([note for note in sweep.notes if "keys of version 1" in note]) == 1
