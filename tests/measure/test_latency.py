"""The logic of timing, on a clock that the tests hold; no test asserts how long anything takes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.machine import device_model
from bench.measure import latency
from bench.measure.backends import BACKENDS, Backend, Call
from bench.measure.latency import (
    MIN_CLEAN_PAIRS,
    Block,
    Plan,
    calls_in_block,
    cpu_timer,
    cuda_timer,
    dtype_of,
    expected_seconds,
    flushes_denormals,
    measure_latency,
    median_interval,
    summarise,
    time_pair,
)
from bench.records import LatencyRecord, LatencySample
from bench.workloads.networks import DummyGenerator
from strategies.registry import UnknownName

QUICK = Plan(calls_per_block=10, warmup=1, rounds=5, min_seconds=0, max_rounds=8, max_seconds=0)


def dense() -> object:
    return "dense"


def pruned() -> object:
    return "pruned"


@dataclass
class FakeTimer:
    """Dense takes 4 ms a call, pruned 1 ms; the blocks of these numbers, counted from 0, are interrupted."""

    interrupted: Callable[[int], bool] = lambda block: False
    order: list[object] = field(default_factory=list)
    calls: set[int] = field(default_factory=set)

    def __call__(self, call: Call, calls: int) -> Block:
        name, block = call(), len(self.order)
        self.order.append(name)
        self.calls.add(calls)
        hit = self.interrupted(block)
        seconds = 0.004 if name == "dense" else 0.001
        return Block(wall=seconds * (50 if hit else 1), cpu=seconds, interrupted=hit)


def sample(dense_wall: float, pruned_wall: float, *, interrupted: bool = False) -> LatencySample:
    return LatencySample(
        dense_wall=dense_wall,
        pruned_wall=pruned_wall,
        dense_cpu=0.004,
        pruned_cpu=0.002,
        interrupted=interrupted,
    )


def samples(pairs: Iterable[tuple[float, float]]) -> tuple[LatencySample, ...]:
    return tuple(sample(a, b) for a, b in pairs)


def test_blocks_alternate_and_each_round_begins_with_the_other() -> None:
    timer = FakeTimer()
    time_pair(dense, pruned, timer=timer, plan=QUICK)
    assert timer.order[:8] == ["dense", "pruned", "pruned", "dense"] * 2


def test_each_sample_holds_dense_and_pruned_whatever_the_order() -> None:
    found = time_pair(dense, pruned, timer=FakeTimer(), plan=QUICK)
    assert {(s.dense_wall, s.pruned_wall) for s in found} == {(0.004, 0.001)}


def test_blocks_have_the_planned_number_of_calls() -> None:
    timer = FakeTimer()
    time_pair(dense, pruned, timer=timer, plan=Plan(calls_per_block=13))
    assert timer.calls == {13}


def test_warm_up_calls_come_before_the_clock() -> None:
    seen: list[str] = []
    plan = Plan(warmup=5, rounds=1, min_seconds=0, max_rounds=1)

    def timer(call: Call, calls: int) -> Block:
        seen.append("clock")
        return Block(0.001, 0.001, False)

    time_pair(lambda: seen.append("dense"), lambda: seen.append("pruned"), timer=timer, plan=plan)
    assert seen == ["dense", "pruned"] * 5 + ["clock", "clock"]


def test_quick_networks_are_timed_for_the_minimum_of_seconds() -> None:
    plan = Plan(calls_per_block=10, rounds=5, min_seconds=0.38)  # 50 ms a round
    assert len(time_pair(dense, pruned, timer=FakeTimer(), plan=plan)) == 8


def test_slow_networks_are_timed_for_the_minimum_of_rounds() -> None:
    plan = Plan(rounds=5, min_seconds=0.01)
    assert len(time_pair(dense, pruned, timer=FakeTimer(), plan=plan)) == 5


def test_interrupted_blocks_mark_their_pair() -> None:
    found = time_pair(dense, pruned, timer=FakeTimer(lambda block: block in {1, 4}), plan=QUICK)
    assert [s.interrupted for s in found[:4]] == [True, False, True, False]


def test_timing_goes_on_until_enough_pairs_are_clean() -> None:
    plan = Plan(rounds=5, min_seconds=0, max_rounds=60, max_seconds=1e9)
    found = time_pair(dense, pruned, timer=FakeTimer(lambda block: block < 20), plan=plan)
    assert len(found) == 15
    assert summarise(found).status == "ok"


def test_timing_ends_at_the_maximum_of_rounds() -> None:
    plan = Plan(rounds=5, min_seconds=0, max_rounds=12, max_seconds=1e9)
    assert len(time_pair(dense, pruned, timer=FakeTimer(lambda block: True), plan=plan)) == 12


def test_timing_ends_at_the_maximum_of_seconds() -> None:
    plan = Plan(rounds=5, min_seconds=0, max_rounds=60, max_seconds=17.4)  # 2.5 s a round
    assert len(time_pair(dense, pruned, timer=FakeTimer(lambda block: True), plan=plan)) == 7


def test_calls_run_in_inference_mode() -> None:
    modes: list[bool] = []
    time_pair(lambda: modes.append(torch.is_inference_mode_enabled()), pruned, timer=FakeTimer(), plan=QUICK)
    assert set(modes) == {True}


def test_interrupted_pairs_do_not_enter_the_speedup() -> None:
    plan = Plan(rounds=5, min_seconds=0, max_rounds=60, max_seconds=1e9)
    summary = summarise(time_pair(dense, pruned, timer=FakeTimer(lambda block: block % 4 == 0), plan=plan))
    assert summary.status == "ok"
    assert summary.speedup == pytest.approx(4)
    assert summary.dense_ms == pytest.approx(4)
    assert summary.pruned_ms_p95 == pytest.approx(1)


def test_speedup_is_the_median_of_the_ratios_of_pairs_not_the_ratio_of_medians() -> None:
    pairs = [(1, 1), (2, 1), (3, 2), (8, 2), (9, 3)]  # ratios 1, 2, 1.5, 4, 3; medians 3 and 2
    assert summarise(samples(pairs)).speedup == 2


def test_times_are_milliseconds_of_a_call() -> None:
    summary = summarise(samples([(0.001 * k, 0.002) for k in range(1, 6)]))
    assert summary.dense_ms == pytest.approx(3)
    assert summary.dense_ms_min == pytest.approx(1)
    assert summary.dense_ms_p95 == pytest.approx(4.8)
    assert summary.pruned_ms == pytest.approx(2)
    assert summary.pruned_ms_min == pytest.approx(2)


def test_a_measurement_with_too_few_clean_pairs_is_invalid_and_says_why() -> None:
    few = samples([(2, 1)] * (MIN_CLEAN_PAIRS - 1)) + (sample(9, 1, interrupted=True),) * 6
    summary = summarise(few)
    assert summary.status == "invalid"
    assert "4 of 10 pairs" in summary.reason
    assert summary.speedup is summary.speedup_low is summary.dense_ms is summary.pruned_ms_min is None


def test_the_ratio_of_cpu_times_is_over_all_pairs_and_survives_contention() -> None:
    assert summarise((sample(9, 1, interrupted=True),) * 6).speedup_cpu == 2


def test_a_cpu_clock_that_did_not_tick_gives_no_ratio() -> None:
    still = LatencySample(dense_wall=1, pruned_wall=1, dense_cpu=0, pruned_cpu=0, interrupted=False)
    assert summarise((still,) * 6).speedup_cpu is None


def test_the_interval_of_a_speedup_is_that_of_the_ratios_of_pairs() -> None:
    pairs = [(2.0, 1.0), (2.2, 1.0), (3.0, 2.0), (4.0, 1.6), (5.0, 2.6), (2.4, 1.0), (3.0, 1.4)]
    found = summarise(samples(pairs))
    assert (found.speedup_low, found.speedup_high) == pytest.approx(
        median_interval(np.array([a / b for a, b in pairs]))
    )
    assert found.speedup is not None and found.speedup_low is not None and found.speedup_high is not None
    assert 1.5 <= found.speedup_low < found.speedup < found.speedup_high <= 2.5


def test_pairs_that_the_clock_did_not_see_do_not_enter_the_speedup() -> None:
    unseen = (sample(0, 1), sample(1, 0), sample(0, 0))
    assert summarise(samples([(2, 1)] * MIN_CLEAN_PAIRS) + unseen).speedup == 2
    assert summarise(unseen * 9).status == "invalid"
    assert 0 < expected_seconds(0.0) < 1


def test_the_interval_holds_the_median_and_repeats() -> None:
    values = np.random.default_rng(3).normal(2, 0.1, 30)
    low, high = median_interval(values)
    assert low < np.median(values) < high
    assert median_interval(values) == (low, high)


def test_the_interval_is_that_of_the_resampled_medians() -> None:
    values = np.random.default_rng(3).normal(2, 0.1, 30)
    medians = np.median(np.random.default_rng(0).choice(values, size=(2_000, 30)), axis=1)
    assert median_interval(values) == pytest.approx(tuple(np.percentile(medians, [2.5, 97.5])), rel=1e-12)


def test_the_interval_of_two_values_is_from_one_to_the_other() -> None:
    """A quarter of the resamples holds the lower value alone, a quarter the higher."""
    assert median_interval(np.array([1.5, 2.0])) == (1.5, 2.0)


def test_the_interval_of_one_value_is_that_value() -> None:
    assert median_interval(np.array([1.5])) == (1.5, 1.5)


def test_the_interval_of_equal_values_is_that_value() -> None:
    assert median_interval(np.full(8, 1.5)) == (1.5, 1.5)


def test_the_interval_covers_the_true_median_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    intervals = [median_interval(rng.normal(size=25), resamples=500) for _ in range(200)]
    assert 0.90 <= np.mean([low <= 0 <= high for low, high in intervals]) <= 0.99


def test_the_cpu_timer_counts_calls_and_gives_finite_seconds() -> None:
    calls: list[int] = []
    block = cpu_timer(lambda: calls.append(1), 7)
    assert len(calls) == 7
    assert 0 < block.wall < math.inf
    assert 0 <= block.cpu < math.inf


def test_a_real_measurement_fills_a_record() -> None:
    generator, inputs = DummyGenerator(), (torch.randn(4, 8),)
    plan = Plan(rounds=2, min_seconds=0, max_rounds=6, max_seconds=0.05)
    fields = measure_latency(generator, generator, inputs, batch=3, plan=plan)
    record = LatencyRecord(latency_key="k", workload="dummy", architecture="a", dense_architecture="a", **fields)
    assert (record.device, record.backend, record.batch, record.dtype) == ("cpu", "eager", 3, "float32")
    assert record.threads == torch.get_num_threads()
    assert all(math.isfinite(s.dense_wall) and s.dense_wall > 0 for s in record.samples)


def test_measuring_leaves_the_networks_in_their_mode() -> None:
    generator = DummyGenerator().train()
    measure_latency(generator, generator, (torch.randn(1, 8),), plan=QUICK)
    assert all(module.training for module in generator.modules())


def test_the_backend_gets_the_batch_in_eval_and_inference_mode() -> None:
    prepared: list[object] = []
    seen: list[object] = []

    def probe(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Call:
        prepared.append((module.training, inputs[0].shape[0]))

        def call() -> object:
            seen.append(torch.is_inference_mode_enabled())
            return module(*inputs)

        return call

    given = Backend("probe", probe)
    measure_latency(DummyGenerator(), DummyGenerator(), (torch.randn(4, 8),), batch=2, backend=given, plan=QUICK)
    assert prepared == [(False, 2)] * 2 and set(seen) == {True}


def test_a_batch_needs_as_many_inputs() -> None:
    with pytest.raises(ValueError, match="batch of 5"):
        measure_latency(DummyGenerator(), DummyGenerator(), (torch.randn(4, 8),), batch=5)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'eager'"):
        BACKENDS["eeger"]


def test_the_processor_has_a_name() -> None:
    assert device_model("cpu").strip()


def test_the_type_is_that_of_the_parameters() -> None:
    assert dtype_of(nn.Linear(1, 1).bfloat16()) == "bfloat16"


def test_flushing_of_denormals_is_seen() -> None:
    before = flushes_denormals()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        assert flushes_denormals()
        torch.set_flush_denormal(False)
        assert not flushes_denormals()
    finally:
        torch.set_flush_denormal(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_measurement_on_cuda_has_finite_times_and_a_peak() -> None:
    generator = DummyGenerator()
    fields = measure_latency(generator, generator, (torch.randn(4, 8),), device="cuda", batch=4, plan=QUICK)
    assert all(math.isfinite(s.dense_wall) and s.dense_wall > 0 for s in fields["samples"])
    assert fields["peak_memory_bytes"] >= sum(4 * p.numel() for p in generator.parameters())


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


def test_the_expected_time_is_that_of_the_rounds_and_the_warm_up() -> None:
    plan = Plan(calls_per_block=10, warmup=5, rounds=5, min_seconds=0.4, max_rounds=60)
    assert expected_seconds(0.02, plan) == pytest.approx(5 * 0.08 + 0.32)  # long calls: two a block, the fewest rounds
    assert expected_seconds(0.1, plan) == pytest.approx(5 * 0.2 + 1.6)  # very long ones: one a block
    assert expected_seconds(0.001, plan) == pytest.approx(20 * 0.02 + 0.016)  # short calls: until 0.4 s are timed
    assert expected_seconds(1e-5, plan) == pytest.approx(60 * 2e-4 + 1.6e-4)  # very short ones: the most rounds


@pytest.mark.parametrize(
    ("quicker", "calls"), [(0.0, 10), (1e-5, 10), (0.0025, 10), (0.003, 9), (0.02, 2), (0.025, 1), (3.0, 1)]
)
def test_a_block_is_long_enough_for_the_quicker_network(quicker: float, calls: int) -> None:
    assert calls_in_block(Plan(calls_per_block=10, block_seconds=0.025), quicker) == calls


@pytest.mark.parametrize(("seconds", "calls"), [(0.01, 3), (0.0001, 10)])
def test_a_record_says_how_many_calls_its_blocks_had(
    monkeypatch: pytest.MonkeyPatch, seconds: float, calls: int
) -> None:
    asked: list[int] = []

    def timer(call: Call, count: int) -> Block:
        asked.append(count)
        return Block(seconds, seconds, False)

    monkeypatch.setattr(latency, "cpu_timer", timer)
    generator = DummyGenerator()
    fields = measure_latency(generator, generator, (torch.randn(1, 8),), plan=Plan(rounds=1, min_seconds=0))
    assert fields["calls_per_block"] == calls and set(asked) == {1, calls}


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

    monkeypatch.setattr(latency, "_switches", lambda: next(switches))
    monkeypatch.setattr(latency, "_cpu_seconds", lambda: passed["cpu"])
    monkeypatch.setattr(latency.time, "perf_counter", lambda: passed["wall"])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    found = latency.cpu_timer(call, 10)
    assert (found.wall, found.cpu) == (pytest.approx(0.25), pytest.approx(0.25 * (1 - lost)))
    assert found.interrupted is interrupted and next(calls) == 10
    monkeypatch.setattr(latency, "_switches", lambda: 7)
    assert not latency.cpu_timer(call, 10).interrupted  # nothing was switched


def test_where_threads_work_side_by_side_every_switch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert latency._mattered(wall=1.0, cpu=2.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert [latency._mattered(wall=1.0, cpu=cpu) for cpu in (1.0, 0.995, 0.98)] == [False, False, True]
