"""What a record says of a pair, from made-up times and from real ones; no test asserts how long anything takes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
import torch
from torch import nn

from bench.base.machine import device_model
from bench.measure.backends import BACKENDS, Backend, Call
from bench.measure.blocks import Plan
from bench.measure.builds import BUILDS, MIN_CLEAN, Build
from bench.measure.latency import dtype_of, expected_seconds, flushes_denormals, measure_latency, summarise
from bench.records import LatencyRecord, LatencySample
from bench.workloads.networks import DummyGenerator
from strategies.registry import UnknownName

QUICK = Plan(warmup=1, rounds=5, min_seconds=0, max_rounds=8, max_seconds=0)


def sample(dense_wall: float, pruned_wall: float, *, interrupted: bool = False) -> LatencySample:
    return LatencySample(
        dense_wall=dense_wall, pruned_wall=pruned_wall, dense_cpu=0.004, pruned_cpu=0.002, interrupted=interrupted
    )


def built(pairs: Iterable[tuple[float, float]], *, turned: bool = False) -> Build:
    return Build(tuple(sample(a, b) for a, b in pairs), turned)


def both(dense_first: Iterable[float], pruned_first: Iterable[float]) -> list[Build]:
    """Builds of these speed-ups."""
    return [
        *(built([(ratio, 1.0)] * MIN_CLEAN) for ratio in dense_first),
        *(built([(ratio, 1.0)] * MIN_CLEAN, turned=True) for ratio in pruned_first),
    ]


LOST = Build((sample(9, 1, interrupted=True),) * 6)
LOST_TURNED = Build(LOST.samples, other_first=True)


def test_the_speedup_is_the_geometric_mean_over_builds() -> None:
    found = summarise(both([2.0, 2.0, 2.0], [8.0, 8.0, 8.0]))
    assert (found.status, found.speedup) == ("ok", pytest.approx(4.0))
    assert found.speedup_low == pytest.approx(4.0) == found.speedup_high  # no spread within an order


def test_its_interval_is_by_the_spread_between_builds() -> None:
    found = summarise(both([2.0, 2.2, 1.8], [2.1, 1.9, 2.3]))
    assert found.speedup_low is not None and found.speedup is not None and found.speedup_high is not None
    assert found.speedup_low < found.speedup < found.speedup_high
    assert found.speedup**2 == pytest.approx(found.speedup_low * found.speedup_high)


def test_a_lost_build_of_either_order_is_borne() -> None:
    assert summarise([*both([2.0] * 2, [2.0] * 2), LOST, LOST_TURNED]).speedup == pytest.approx(2.0)


def test_with_half_of_the_builds_of_an_order_lost_it_is_invalid_and_says_why() -> None:
    found = summarise([*both([2.0] * 3, [2.0]), LOST_TURNED, LOST_TURNED])
    assert found.status == "invalid" and "in 4 of 6 builds" in found.reason and "3 pairs or more" in found.reason
    assert found.speedup is found.speedup_low is found.dense_ms is found.pruned_ms_min is None


def test_times_are_milliseconds_of_a_call_over_all_clean_blocks() -> None:
    found = summarise([built([(0.001 * k, 0.002) for k in range(1, 6)], turned=turned) for turned in (False, True)])
    assert found.dense_ms == pytest.approx(3)
    assert found.dense_ms_min == pytest.approx(1)
    assert found.dense_ms_p95 == pytest.approx(5)
    assert found.pruned_ms == pytest.approx(2) == found.pruned_ms_min


def test_the_ratio_of_cpu_times_is_over_all_pairs_and_survives_contention() -> None:
    assert summarise([LOST, LOST_TURNED]).speedup_cpu == pytest.approx(2)


def test_a_cpu_clock_that_did_not_tick_gives_no_ratio() -> None:
    still = LatencySample(dense_wall=1, pruned_wall=1, dense_cpu=0, pruned_cpu=0, interrupted=False)
    assert summarise([Build((still,) * 6), Build((still,) * 6, other_first=True)]).speedup_cpu is None


def test_the_expected_time_is_that_of_all_builds() -> None:
    plan = Plan(warmup=1, rounds=5, min_seconds=0.1, max_rounds=20)
    assert expected_seconds(0.02, plan, 6) == pytest.approx(6 * (5 * 2 * 0.02 + 10 * 0.02))  # one call a block
    assert expected_seconds(0.005, plan, 6) == pytest.approx(6 * (5 * 2 * 0.015 + 10 * 0.005))  # three
    assert expected_seconds(0.0001, plan, 2) == pytest.approx(2 * (20 * 2 * 0.002 + 10 * 0.0001))  # the most calls
    assert expected_seconds(1e-6, plan, 2) == pytest.approx(2 * (20 * 2 * 2e-5 + 10 * 1e-6))
    assert 0 < expected_seconds(0.0) < 1


def test_a_record_has_samples_of_every_build() -> None:
    generator = DummyGenerator()
    fields = measure_latency(generator, generator, (torch.randn(1, 8),), plan=QUICK)
    assert {s.build for s in fields["samples"]} == set(range(BUILDS))
    assert fields["calls_per_block"] >= 1


def test_a_real_measurement_fills_a_record() -> None:
    generator, inputs = DummyGenerator(), (torch.randn(4, 8),)
    plan = Plan(rounds=2, min_seconds=0, max_rounds=6, max_seconds=0.05)
    fields = measure_latency(generator, generator, inputs, batch=3, plan=plan, builds=2)
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
    assert prepared == [(False, 2)] * 2 * BUILDS and set(seen) == {True}


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
