"""Ratios of times: from samples to estimates, and the processes that take them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import bench.gate.timing
from bench.executors import Done, Failed
from bench.gate.contents import Shape, shape_of
from bench.gate.rebuild import prepare
from bench.gate.timing import (
    MIN_PROCESSES,
    Network,
    Ratio,
    Taken,
    Task,
    estimate,
    of_process,
    take,
    time_builds,
    time_ratios,
)
from bench.measure.builds import BUILDS, MIN_CLEAN, Build
from bench.records import LatencySample
from bench.sweep.counts import architecture_of
from bench.sweep.workshop import Workshop
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from strategies.layers import widths
from tests.helpers.cells import cell, record_of

DENSE = Shape(widths=widths(load_checkpoint(BUILT_IN["dummy"]).generator), sizes={})
NETWORK = Network("dummy", "shipped", DENSE)


def sample(first: float, second: float, *, interrupted: bool = False) -> LatencySample:
    return LatencySample(
        dense_wall=first, pruned_wall=second, dense_cpu=first, pruned_cpu=second, interrupted=interrupted
    )


def test_a_process_gives_the_medians_of_its_builds_and_how_many_pairs_were_clean() -> None:
    quiet = Build((*[sample(0.002, 0.003)] * 5, *[sample(0.002, 0.2, interrupted=True)] * 4))
    turned = Build((sample(0.004, 0.006),) * MIN_CLEAN, other_first=True)
    found = of_process([quiet, turned])
    assert found.log_ratio == pytest.approx(math.log(1.5))
    assert (found.base_ms, found.head_ms) == (pytest.approx(3.0), pytest.approx(4.5))
    assert (found.clean, found.pairs) == (5 + MIN_CLEAN, 9 + MIN_CLEAN)


def test_too_few_clean_pairs_are_no_ratio_but_cpu_time_remains() -> None:
    few = (*[sample(0.002, 0.003)] * (MIN_CLEAN - 1), *[sample(0.002, 0.003, interrupted=True)] * 9)
    found = of_process([Build(few), Build(few, other_first=True)])
    assert (found.log_ratio, found.base_ms, found.clean) == (None, None, 2 * (MIN_CLEAN - 1))
    assert found.log_cpu_ratio == pytest.approx(math.log(1.5))


def test_an_estimate_is_the_t_interval_over_processes() -> None:
    from bench.statistics import t_interval

    values = [0.01, 0.02, 0.04, 0.0, 0.03]
    found, expected = estimate(values), t_interval(values)
    assert (found.lower(0.025), found.upper(0.025)) == pytest.approx((expected.low, expected.high))


class Scripted:
    """Stands for `LocalExecutor`: outcomes are given, process by process."""

    outcomes: list[Any]

    def __init__(self, jobs: int, *, fresh: bool) -> None:
        assert (jobs, fresh) == (1, True)

    def run(self, stages: Any) -> Any:
        (only,) = stages
        ((task,),) = (group.items for group in only.groups)
        assert only.resources.exclusive
        yield type(self).outcomes.pop(0)(task)


def taken(log_ratio: float | None, **changes: Any) -> Any:
    one = Taken(log_ratio, 0.05, 1.0, 2.0, 10, 10, **changes)
    return lambda task: Done(task, [one])


def run_scripted(monkeypatch: pytest.MonkeyPatch, outcomes: list[Any], **options: Any) -> Any:
    monkeypatch.setattr(Scripted, "outcomes", list(outcomes), raising=False)
    monkeypatch.setattr(bench.gate.timing, "LocalExecutor", Scripted)
    arguments = {"processes": len(outcomes), "max_seconds": 1e6} | options
    (found,) = time_ratios([Ratio(NETWORK, NETWORK, 1)], **arguments)
    return found


def test_processes_without_a_ratio_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_scripted(monkeypatch, [taken(0.1)] * MIN_PROCESSES + [taken(None)] * 3)
    assert (found.processes, found.started) == (MIN_PROCESSES, MIN_PROCESSES + 3)
    assert found.estimate is not None and found.estimate.difference == pytest.approx(0.1)


def test_too_few_processes_are_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_scripted(monkeypatch, [taken(0.1)] * (MIN_PROCESSES - 1) + [taken(None)] * 9)
    assert (found.estimate, found.cpu_ratio) == (None, pytest.approx(math.exp(0.05)))


def test_no_process_is_begun_that_would_end_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, *(x for i in range(40) for x in [10.0 * i])])
    monkeypatch.setattr(bench.gate.timing.time, "monotonic", lambda: next(seconds))
    found = run_scripted(monkeypatch, [taken(0.1)] * 20, max_seconds=100.0)
    assert found.started == 10


def test_a_process_that_dies_is_an_error_and_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_scripted(monkeypatch, [lambda task: Failed(task, "killed", "")] * 20)
    assert (found.estimate, found.error, found.started) == (None, "killed", 1)


def fake_times(monkeypatch: pytest.MonkeyPatch, ratio: float, second: float) -> list[str]:
    """HEAD takes ``ratio`` times BASE's time, and what is built second ``second`` times as long; who was first."""
    firsts: list[str] = []

    def time_calls(first: Any, other: Any, device: str) -> list[LatencySample]:
        firsts.append(first())
        seconds = {"base": 0.002, "head": 0.002 * ratio}
        return [sample(seconds[first()], second * seconds[other()])] * 5

    monkeypatch.setattr(bench.gate.timing, "time_calls", time_calls)
    return firsts


def test_what_the_order_of_building_costs_cancels_out(monkeypatch: pytest.MonkeyPatch) -> None:
    firsts = fake_times(monkeypatch, ratio=1.02, second=1.07)
    found = time_builds(lambda: lambda: "base", lambda: lambda: "head")
    assert firsts == ["base", "head", "head", "base", "base", "head"] and len(firsts) == BUILDS
    assert found.log_ratio == pytest.approx(math.log(1.02), abs=1e-12)
    assert found.log_cpu_ratio == pytest.approx(math.log(1.02), abs=1e-12)
    assert (found.clean, found.pairs) == (5 * BUILDS, 5 * BUILDS)


def test_two_builds_are_all_where_they_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    firsts = fake_times(monkeypatch, ratio=1.02, second=1.07)
    found = time_builds(lambda: lambda: "base", lambda: lambda: "head", seconds=-1.0)
    assert firsts == ["base", "head"]
    assert found.log_ratio == pytest.approx(math.log(1.02), abs=1e-12)


def test_a_build_that_fails_in_the_middle_costs_its_ratio_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise MemoryError("no room for a second one")

    monkeypatch.setattr(bench.gate.timing, "time_builds", broken)
    found = take(Task((Ratio(NETWORK, NETWORK, 1),) * 2, None, None))
    assert [one.error for one in found] == ["MemoryError: no room for a second one"] * 2


def test_every_build_is_a_network_of_its_own() -> None:
    """Or the same memory would be timed again and again."""

    def build() -> Any:
        return prepare("dummy", "shipped", {}, DENSE.widths, device="cpu", backend="eager", batch=1)

    def weights(call: Any) -> set[int]:
        (network,) = [x for x in (c.cell_contents for c in call.__closure__) if isinstance(x, nn.Module)]
        return {p.data_ptr() for p in network.parameters()}

    first, second = build(), build()
    assert weights(first).isdisjoint(weights(second))


def test_a_network_is_rebuilt_from_its_sizes(shop: Workshop) -> None:
    record = record_of(cell("l1-channel-global", 0.5), shop)
    assert record.architecture is not None
    shape = shape_of(record.architecture)
    call = prepare("dummy", "shipped", shape.sizes, shape.widths, device="cpu", backend="eager", batch=3)
    assert call().shape == (3, 1, 8, 8)  # type: ignore[attr-defined]


def test_sizes_that_do_not_tell_all_are_refused() -> None:
    with pytest.raises(ValueError, match="are not those of the network that was measured"):
        prepare("dummy", "shipped", {}, {"net.0": (1, 1)}, device="cpu", backend="eager", batch=1)


def test_a_network_that_cannot_be_built_is_an_error_of_its_ratio() -> None:
    other = Network("nothing", "shipped", DENSE)
    (found,) = take(Task((Ratio(other, NETWORK, 1),), None, None))
    assert (found.log_ratio, "no workload 'nothing'" in found.error) == (None, True)


def test_a_source_that_cannot_build_it_gives_way_to_ours(tmp_path: Path) -> None:
    """An old revision without `bench.gate.rebuild`: the architectures alone are timed."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/__init__.py").write_text("")
    (found,) = take(Task((Ratio(NETWORK, NETWORK, 1),), None, tmp_path))
    assert (found.error, found.own_source) == ("", False)
    assert found.pairs > 0


def test_the_recorded_architecture_gives_back_its_widths(shop: Workshop) -> None:
    from bench.sweep.cell import make

    todo = shop.resolve(cell("l1-channel-global", 0.5))
    made = make(todo, shop).recovered
    shape = shape_of(architecture_of(todo.gan.workload, made))
    assert shape.widths == widths(made.generator)
