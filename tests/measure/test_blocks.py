"""Blocks of calls on a clock that the tests hold; no test asserts how long anything takes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch

from bench.measure import blocks
from bench.measure.blocks import Block, Call, Plan, cpu_timer, cuda_timer, time_pair

QUICK = Plan(warmup=1, rounds=5, min_seconds=0, max_rounds=8, max_seconds=0)
TEN = (10, 10)


def dense() -> object:
    return "dense"


def pruned() -> object:
    return "pruned"


@dataclass
class FakeTimer:
    """Dense takes 4 ms a call, pruned 1 ms; the blocks of these numbers, counted from 0, are interrupted."""

    interrupted: Callable[[int], bool] = lambda block: False
    order: list[object] = field(default_factory=list)
    calls: set[tuple[object, int]] = field(default_factory=set)

    def __call__(self, call: Call, calls: int) -> Block:
        name, block = call(), len(self.order)
        self.order.append(name)
        self.calls.add((name, calls))
        hit = self.interrupted(block)
        seconds = 0.004 if name == "dense" else 0.001
        return Block(wall=seconds * (50 if hit else 1), cpu=seconds, interrupted=hit)


def test_blocks_alternate_and_each_round_begins_with_the_other() -> None:
    timer = FakeTimer()
    time_pair(dense, pruned, TEN, timer=timer, plan=QUICK)
    assert timer.order[:8] == ["dense", "pruned", "pruned", "dense"] * 2


def test_each_sample_holds_dense_and_pruned_whatever_the_order() -> None:
    found = time_pair(dense, pruned, TEN, timer=FakeTimer(), plan=QUICK)
    assert {(s.dense_wall, s.pruned_wall) for s in found} == {(0.004, 0.001)}


def test_blocks_have_the_planned_number_of_calls() -> None:
    timer = FakeTimer()
    time_pair(dense, pruned, (13, 40), timer=timer)
    assert timer.calls == {("dense", 13), ("pruned", 40)}


def test_warm_up_calls_come_before_the_clock() -> None:
    seen: list[str] = []
    plan = Plan(warmup=5, rounds=1, min_seconds=0, max_rounds=1)

    def timer(call: Call, calls: int) -> Block:
        seen.append("clock")
        return Block(0.001, 0.001, False)

    time_pair(lambda: seen.append("dense"), lambda: seen.append("pruned"), TEN, timer=timer, plan=plan)
    assert seen == ["dense", "pruned"] * 5 + ["clock", "clock"]


def test_quick_networks_are_timed_for_the_minimum_of_seconds() -> None:
    plan = Plan(rounds=5, min_seconds=0.38)  # 50 ms a round
    assert len(time_pair(dense, pruned, TEN, timer=FakeTimer(), plan=plan)) == 8


def test_slow_networks_are_timed_for_the_minimum_of_rounds() -> None:
    plan = Plan(rounds=5, min_seconds=0.01)
    assert len(time_pair(dense, pruned, TEN, timer=FakeTimer(), plan=plan)) == 5


def test_interrupted_blocks_mark_their_pair() -> None:
    found = time_pair(dense, pruned, TEN, timer=FakeTimer(lambda block: block in {1, 4}), plan=QUICK)
    assert [s.interrupted for s in found[:4]] == [True, False, True, False]


def test_timing_goes_on_until_enough_pairs_are_clean() -> None:
    plan = Plan(rounds=5, min_seconds=0, max_rounds=60, max_seconds=1e9)
    found = time_pair(dense, pruned, TEN, timer=FakeTimer(lambda block: block < 20), plan=plan)
    assert len(found) == 15


def test_timing_ends_at_the_maximum_of_rounds() -> None:
    plan = Plan(rounds=5, min_seconds=0, max_rounds=12, max_seconds=1e9)
    assert len(time_pair(dense, pruned, TEN, timer=FakeTimer(lambda block: True), plan=plan)) == 12


def test_timing_ends_at_the_maximum_of_seconds() -> None:
    plan = Plan(rounds=5, min_seconds=0, max_rounds=60, max_seconds=17.4)  # 2.5 s a round
    assert len(time_pair(dense, pruned, TEN, timer=FakeTimer(lambda block: True), plan=plan)) == 7


def test_calls_run_in_inference_mode() -> None:
    modes: list[bool] = []
    time_pair(lambda: modes.append(torch.is_inference_mode_enabled()), pruned, TEN, timer=FakeTimer(), plan=QUICK)
    assert set(modes) == {True}


def test_the_cpu_timer_counts_calls_and_gives_finite_seconds() -> None:
    calls: list[int] = []
    block = cpu_timer(lambda: calls.append(1), 7)
    assert len(calls) == 7
    assert 0 < block.wall < math.inf
    assert 0 <= block.cpu < math.inf


def test_the_cuda_timer_divides_the_events_time_by_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")

        def elapsed_time(self, end: Event) -> float:
            return 30.0  # milliseconds

    class Device:
        def __init__(self, device: object) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: log.append("synchronize"))
    block = cuda_timer("cuda")(lambda: log.append("call"), 3)
    assert block.wall == pytest.approx(0.010)
    assert log == ["synchronize", "record", "call", "call", "call", "record", "synchronize"]


@pytest.mark.parametrize(("lost", "interrupted"), [(0.005, False), (0.02, True)])
def test_a_switch_that_costs_next_to_nothing_is_no_interruption(
    monkeypatch: pytest.MonkeyPatch, lost: float, interrupted: bool
) -> None:
    """Clocks by hand: the clock of CPU time stands still while the thread waits; a switch is said every time."""
    switches, calls = itertools.count(), itertools.count()
    passed = {"wall": 0.0, "cpu": 0.0}

    def call() -> None:
        next(calls)
        passed["wall"] += 0.25
        passed["cpu"] += 0.25 * (1 - lost)

    monkeypatch.setattr(blocks, "_switches", lambda: next(switches))
    monkeypatch.setattr(blocks, "_cpu_seconds", lambda: passed["cpu"])
    monkeypatch.setattr(blocks.time, "perf_counter", lambda: passed["wall"])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    found = blocks.cpu_timer(call, 10)
    assert (found.wall, found.cpu) == (pytest.approx(0.25), pytest.approx(0.25 * (1 - lost)))
    assert found.interrupted is interrupted and next(calls) == 10
    monkeypatch.setattr(blocks, "_switches", lambda: 7)
    assert not blocks.cpu_timer(call, 10).interrupted  # nothing was switched


def test_where_threads_work_side_by_side_every_switch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert blocks._mattered(wall=1.0, cpu=2.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert [blocks._mattered(wall=1.0, cpu=cpu) for cpu in (1.0, 0.995, 0.98)] == [False, False, True]
