"""Cells with a finish: their keys, what they are compared with, and what their records say."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.artifact.finishes import FINISH
from bench.base.seeds import stream
from bench.experiments.expanding import cell_count, expand
from bench.experiments.known import Known
from bench.experiments.places import place_of_cell
from bench.records import Cell, Record
from bench.records.paths import RunPaths
from bench.report.deploy import deploy_section
from bench.sweep.cell import make, run_cell
from bench.sweep.finishing import CALIBRATION_INPUTS, finish
from bench.sweep.groups import groups
from bench.sweep.timing import LatencyTask, latency_tasks, time_task
from bench.sweep.workshop import Workshop
from bench.tables.deploy import deploy_table, quickest
from bench.tables.run_tables import run_tables
from bench.workloads.builtin import BUILT_IN
from bench.workloads.generate import generate
from strategies.base import NotApplicable
from tests.helpers.cells import cell, experiment

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="ONNX Runtime is not installed",
)


def finished(thing: Cell, name: str) -> Cell:
    return thing.model_copy(update={"finish": name})


# Keys


@pytest.mark.parametrize("strategy", ["dense", "l1-channel-global", "random-weight-global"])
def test_a_cell_of_before_there_were_finishes_has_none_and_the_same_keys(strategy: str, shop: Workshop) -> None:
    told = cell(strategy).model_dump(exclude={"finish"})
    assert Cell.model_validate(told) == cell(strategy)
    assert shop.resolve(Cell.model_validate(told)).keys == shop.resolve(cell(strategy)).keys


def test_a_finish_changes_both_keys_and_names_what_it_draws(shop: Workshop) -> None:
    found = {name: shop.resolve(finished(cell(), name)) for name in ("none", "bf16", "int8-onnx")}
    assert len({todo.keys.prune for todo in found.values()}) == 3
    assert len({todo.network_key for todo in found.values()}) == 1
    assert found["bf16"].streams == found["none"].streams == frozenset()
    assert found["int8-onnx"].streams == {"calibrate"}
    other = shop.resolve(finished(cell(seed=1), "int8-onnx"))
    assert other.keys.prune != found["int8-onnx"].keys.prune, "other latents calibrate it"
    assert shop.resolve(finished(cell(seed=1), "bf16")).keys.prune == found["bf16"].keys.prune


def test_another_version_of_a_library_is_another_key(monkeypatch: pytest.MonkeyPatch, shop: Workshop) -> None:
    before = shop.resolve(finished(cell(), "int8-onnx")).keys
    monkeypatch.setattr("bench.artifact.finishes.base.versions", lambda *names: dict.fromkeys(names, "99"))
    assert shop.resolve(finished(cell(), "int8-onnx")).keys != before


# What it is compared with, and where it stands


def test_a_finished_network_is_compared_with_dense_without_a_finish(shop: Workshop, dense: Cell) -> None:
    base = shop.resolve(dense).keys
    for thing in (cell(), dense):
        todo = shop.resolve(finished(thing, "bf16"))
        assert todo.dense is not None and todo.dense.keys == base


def test_the_finishes_of_a_network_are_one_group_and_dense_waits_for_nobody(shop: Workshop, dense: Cell) -> None:
    cells = [finished(thing, name) for name in ("bf16", "none") for thing in (cell(), dense)]
    found = groups([shop.resolve(one) for one in cells], lambda todo: 1.0)
    assert [len(group.items) for group in found] == [2, 2]
    first, second = sorted(found, key=lambda group: group.name == "")
    assert first.after == frozenset() and second.after == {first.name}
    assert [item.cell.finish for item in first.items] == ["none", "bf16"], "dense is judged first"


def test_names_of_cells_and_files_say_the_finish() -> None:
    thing = finished(cell(recovery="finetune-2"), "int8-onnx")
    assert thing.label == "dummy l1-weight-global @0.5 finetune-2+int8-onnx seed 0"
    assert "--finetune-2+int8-onnx--" in RunPaths(Path()).cell(thing, "0" * 64).name
    assert place_of_cell(thing).recovery == "finetune-2+int8-onnx"


def test_dense_without_a_finish_is_always_in(tmp_path: Path) -> None:
    wanted = experiment(tmp_path, 'finish=["bf16"]', seeds=(0, 1))
    cells = expand(wanted, Known.ours())
    assert [(one.strategy, one.finish) for one in cells if one.seed == 0] == [
        ("dense", "none"), ("dense", "bf16"), ("l1-weight-global", "bf16"),
    ]  # fmt: skip
    assert cell_count(wanted, Known.ours()) == len(cells)


def test_an_unknown_finish_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"no finish 'int8-onx'. Did you mean 'int8-onnx'"):
        experiment(tmp_path, 'finish=["int8-onx"]')


# Measured


def test_a_bf16_cell_is_judged_as_it_is_shipped_and_counted_as_it_was_pruned(shop: Workshop) -> None:
    plain, half = (run_cell(finished(cell("l1-channel-global"), name), shop) for name in ("none", "bf16"))
    assert half.status == "ok"
    for name in ("params", "macs_effective", "bytes"):
        assert half.numbers[name] == plain.numbers[name]
    assert "bytes_file" not in plain.numbers
    assert half.numbers["bytes_file"].value < plain.numbers["bytes"].value  # type: ignore[operator]
    fid = "fid[dummy-judge]"
    assert half.numbers[fid].value != plain.numbers[fid].value
    assert half.numbers[fid].value == pytest.approx(plain.numbers[fid].value, rel=0.05)
    assert half.architecture and plain.architecture
    assert half.architecture.widths == plain.architecture.widths
    assert half.architecture.hash != plain.architecture.hash, "it is timed by itself"
    assert Record.model_validate_json(half.model_dump_json()) == half


@needs_onnx
def test_what_is_judged_is_calibrated_on_the_cells_own_latents(shop: Workshop) -> None:
    todo = shop.resolve(finished(cell("l1-channel-global"), "int8-onnx"))
    recovered = make(todo, shop).recovered
    made = finish(todo, recovered)
    assert made is not None
    latents = todo.gan.workload.inputs.sample(CALIBRATION_INPUTS, stream(0, "calibrate", "finish"))
    again = FINISH["int8-onnx"].make(recovered.generator, latents)
    assert made.files == again.files
    inputs = todo.gan.workload.inputs.sample(20, stream(0, "eval"))
    images, finite = generate(made, inputs)
    assert finite and images.shape == (20, 1, 8, 8)


def test_a_network_that_a_finish_cannot_take_says_so(monkeypatch: pytest.MonkeyPatch, shop: Workshop) -> None:
    class Refuses(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            if z.dtype != torch.float32:
                raise TypeError("only float32")
            return z

    todo = shop.resolve(finished(cell(), "bf16"))
    recovered = make(todo, shop).recovered
    with pytest.raises(NotApplicable, match=r"bf16 cannot take this network .*only float32"):
        finish(todo, replace(recovered, generator=Refuses()))
    monkeypatch.setattr("bench.sweep.cell.finish", lambda *given: _raise(NotApplicable("it does not fit")))
    record = run_cell(todo.cell, shop)
    assert (record.status, record.reason, record.numbers) == ("not-applicable", "it does not fit", {})


def _raise(error: Exception) -> None:
    raise error


# Timed, and told


@pytest.fixture(scope="module")
def records() -> list[Record]:
    from bench.sweep.settings import Settings

    shop = Workshop(Settings(num_images=50))
    things = [cell("dense"), cell("l1-channel-global")]
    return [run_cell(finished(thing, name), shop) for thing in things for name in ("none", "bf16")]


def tasks(records: list[Record]) -> list[LatencyTask]:
    return latency_tasks(records, BUILT_IN, devices=["cpu"], batches=[1, 4], backends=["eager", "onnx"])


def test_a_finished_network_is_timed_in_its_own_way_alone(records: list[Record]) -> None:
    found = tasks(records)
    ways = [(task.finish, task.backend, task.batch) for task in found]
    assert ways.count(("bf16", "bf16-weights", 1)) == ways.count(("bf16", "bf16-weights", 4)) == 2
    assert {backend for name, backend, _ in ways if name == "none"} == {"eager", "onnx"}
    assert len({task.key for task in found}) == len(found) == 2 * 2 + 2 * 2 * 2
    dense = records[0].architecture
    assert dense is not None
    assert {task.dense_architecture for task in found} == {dense.hash}


def test_a_timing_says_what_dense_ran_as(records: list[Record], shop: Workshop) -> None:
    task = next(task for task in tasks(records) if task.finish == "bf16" and task.batch == 4)
    timing = time_task(task, BUILT_IN["dummy"], shop.load("dummy", "shipped").gan.checkpoint.generator)
    assert (timing.backend, timing.dense_backend, timing.dtype) == ("bf16-weights", "eager in float32", "bfloat16")
    assert timing.status in ("ok", "invalid")
    assert timing.output_error == 0, "what is timed is what was judged"
    numbers = run_tables(records, [timing])
    table = deploy_table(numbers.frame, numbers.summary, numbers.latency)
    assert set(table["finish"]) <= {"bf16"}, "dense in float32 is no network of that backend"


def test_a_finished_row_is_claimed_against_dense_without_a_finish(records: list[Record]) -> None:
    numbers = run_tables(records, [])
    claims = {(claim.strategy, claim.recovery): claim for claim in numbers.claims.against_dense}
    assert set(claims) == {("dense", "none+bf16"), ("l1-channel-global", "none"), ("l1-channel-global", "none+bf16")}
    rows = numbers.aggregated.set_index(["strategy", "recovery", "metric"])["mean"]
    delta = numbers.aggregated.set_index(["strategy", "recovery", "metric"])["delta_mean"]
    fid = "fid[dummy-judge]"
    for strategy, recovery in claims:
        base = rows["dense", "none", fid]
        assert delta[strategy, recovery, fid] == pytest.approx(rows[strategy, recovery, fid] - base)


def test_the_page_says_what_to_deploy(records: list[Record]) -> None:
    timings = [
        _timing(task, ms)
        for task in tasks(records)
        for ms in [{("none", "eager"): 2.0, ("none", "onnx"): 1.0}.get((task.finish, task.backend), 4.0)]
    ]
    numbers = run_tables(records, timings)
    table = deploy_table(numbers.frame, numbers.summary, numbers.latency)
    assert len(table) == 2 * (2 * 2 + 2)  # batches x (networks x backends, and their bf16)
    half = table[(table["finish"] == "bf16") & (table["strategy"] == "dense") & (table["batch"] == 1)].iloc[0]
    assert (half["ms"], half["dense_ms"], half["speedup"]) == (4.0, 3.0, 0.75)
    assert half["eager_ms"] == 3.0 and half["against_eager"] == 0.75
    assert (half["ms_low"], half["ms_high"]) == pytest.approx((4.0 * 0.75 / 0.8, 4.0 * 0.75 / 0.7))
    sizes = table.groupby("finish")["bytes"].max()
    assert sizes["bf16"] < sizes["none"]
    best = quickest(table)
    assert best["within"].all() and set(best["backend"]) == {"eager", "onnx", "bf16-weights"} - (
        set() if half["within"] else {"bf16-weights"}
    )
    assert deploy_section(table, numbers.summary).blocks
    bare = run_tables([record for record in records if record.cell.finish == "none"], timings)
    assert deploy_table(bare.frame, bare.summary, bare.latency).empty


def _timing(task: LatencyTask, ms: float):  # type: ignore[no-untyped-def]
    from bench.records import LatencyRecord

    same = task.architecture == task.dense_architecture
    return LatencyRecord.model_validate(
        {
            "latency_key": task.key,
            "workload": task.workload,
            "architecture": task.architecture,
            "dense_architecture": task.dense_architecture,
            "device": "cpu",
            "device_model": "cpu",
            "backend": task.backend,
            "batch": task.batch,
            "dtype": "bfloat16" if task.finish == "bf16" else "float32",
            "threads": 1,
            "flush_denormal": False,
            "calls_per_block": 1,
            "samples": [],
            "status": "ok",
            "dense_ms": 3.0,
            "pruned_ms": 3.0 if same else ms,
            "dense_ms_min": 3.0,
            "pruned_ms_min": ms,
            "dense_ms_p95": 3.0,
            "pruned_ms_p95": ms,
            "speedup": 1.0 if same else 3 / ms,
            "speedup_low": 0.99 if same else 0.7 if ms == 4 else 3 / ms - 0.1,
            "speedup_high": 1.01 if same else 0.8 if ms == 4 else 3 / ms + 0.1,
            "speedup_cpu": 1.0,
            "dense_backend": task.backend,
        }
    )
