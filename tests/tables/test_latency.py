"""When a measured speed-up is one: its interval, and what dense against itself shows."""

from __future__ import annotations

import math

import pytest

from bench.records import LatencyRecord, LatencySample
from bench.tables import run_tables
from bench.tables.latency import NOT_SEPARABLE, latency_table, latest, own_noise, verdict
from tests.report.synthetic import latency_record, make_records

DENSE, PRUNED = "mnist-dcgan-dense", "mnist-dcgan-l1-channel-global-0.5"


def timed(speedup: float, low: float, high: float, *, name: str = PRUNED, **changes: object) -> LatencyRecord:
    known = latency_record("mnist-dcgan", name, 1, 1.0)
    return known.model_copy(update={"speedup": speedup, "speedup_low": low, "speedup_high": high, **changes})


@pytest.mark.parametrize(
    ("speedup", "low", "high", "noise", "said"),
    [
        (1.5, 1.4, 1.6, 1.02, "faster"),
        (0.8, 0.7, 0.9, 1.02, "slower"),
        (1.5, 0.99, 2.3, 1.02, NOT_SEPARABLE),
        (1.02, 1.01, 1.03, 1.02, NOT_SEPARABLE),  # as far as equal networks are
        (1.021, 1.01, 1.03, 1.02, "faster"),
        (1 / 1.02, 0.97, 0.99, 1.02, NOT_SEPARABLE),
        (1 / 1.021, 0.97, 0.99, 1.02, "slower"),
        (1.02, 1.01, 1.03, math.nan, "faster"),  # nobody knows the noise
        (1.02, 1.0, 1.03, math.nan, NOT_SEPARABLE),
        (0.98, 0.97, 1.0, math.nan, NOT_SEPARABLE),
        (1.0, 1.0, 1.0, 1.02, ""),
        (math.nan, math.nan, math.nan, 1.02, ""),
    ],
)
def test_a_speed_up_is_one_outside_its_interval_and_the_noise(
    speedup: float, low: float, high: float, noise: float, said: str
) -> None:
    assert verdict(speedup, low, high, noise) == said


def test_the_noise_is_that_of_the_same_training_setting_and_batch() -> None:
    table = latency_table(
        [
            timed(0.99, 0.96, 1.01, name=DENSE),
            timed(1.0, 0.8, 1.1, name=DENSE, batch=16),
            timed(1.01, 0.7, 1.4, name=DENSE, backend="onnx"),
            timed(1.03, 1.02, 1.04),
            timed(1.05, 1.045, 1.06),
            timed(1.1, 1.09, 1.12, batch=16),
            timed(1.01, 1.005, 1.02, workload="another"),
        ]
    )
    assert list(table["noise"]) == pytest.approx(
        [1 / 0.96, 1.25, 1 / 0.7, 1 / 0.96, 1 / 0.96, 1.25, math.nan], nan_ok=True
    )
    assert list(table["verdict"]) == ["", "", "", NOT_SEPARABLE, "faster", NOT_SEPARABLE, "faster"]
    assert own_noise(table) == "dense against itself: within 0.80 to 1.25x, the timing's own noise"


def test_dense_against_itself_that_was_disturbed_says_no_noise() -> None:
    table = latency_table([timed(1.0, 0.5, 2.0, name=DENSE, status="invalid"), timed(1.05, 1.04, 1.06)])
    assert list(table["verdict"]) == ["", "faster"] and own_noise(table) == ""


def test_the_main_table_and_the_backends_have_the_verdict() -> None:
    records = make_records()
    one = timed(1.05, 1.04, 1.06)
    for latency, expected in (([one], "faster"), ([one, timed(1.0, 0.9, 1.0, name=DENSE)], NOT_SEPARABLE)):
        summary = run_tables(records, latency).summary
        found = summary[(summary["strategy"] == "l1-channel-global") & (summary["requested"] == 0.5)]
        assert set(found.loc[found["workload"] == "mnist-dcgan", "speedup_b1_verdict"]) == {expected}
        assert set(found.loc[found["workload"] == "mnist-dcgan", "speedup_b16_verdict"]) == {""}
        assert set(summary.loc[summary["strategy"] == "dense", "speedup_b1_verdict"]) == {""}


def test_of_two_ways_of_timing_one_pair_the_one_with_more_builds_stays() -> None:
    sample = LatencySample(dense_wall=1, pruned_wall=1, dense_cpu=1, pruned_cpu=1, interrupted=False)
    new = timed(1.1, 1.0, 1.2, samples=[sample.model_copy(update={"build": n}) for n in range(6)])
    old, other = timed(1.3, 1.2, 1.4), timed(1.3, 1.2, 1.4, batch=16)
    assert latest([old, new, other]) == [new, other] == latest([new, other, old])
