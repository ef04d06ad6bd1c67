"""Whole cells measured with ``device="cuda"`` beside the same cells on the CPU."""

from __future__ import annotations

import functools

import pytest

from bench.records import Cell, Record
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from tests.helpers.cells import cell, record_of

NUM_IMAGES = 300

EXACT = ("params", "params_nonzero", "bytes", "bytes_bitmask", "macs_dense", "macs_effective", "macs_fvcore")

FID = 2e-3
"""Relative. Images differ by a grey level in one of a thousand pixels, and FID of the same network then by less than
1e-4; recalibrated statistics differ in their last bits besides. Two sets of other latents differ by 5 % and more."""

UNTRAINED = [
    cell("dense", workload="mnist-dcgan", recovery="none"),
    cell("dense", workload="mnist-dcgan", recovery="bn-recalibrate"),
    cell("l1-channel-uniform", workload="mnist-dcgan", recovery="bn-recalibrate"),
    cell("l1-weight-global", workload="mnist-dcgan", recovery="bn-recalibrate"),
    cell("taylor-channel-global", workload="mnist-dcgan", recovery="bn-recalibrate"),
    cell("l1-weight-global", workload="mnist-mlp", recovery="none"),
    cell("l1-quantised-16", workload="mnist-mlp", recovery="none"),
    cell("l1-nm-2-4", workload="mnist-mlp", recovery="none", level={"n": 2.0}),
    cell("random-channel-uniform", workload="mnist-mlp", recovery="bn-recalibrate"),
]


@functools.cache
def shop(device: str) -> Workshop:
    return Workshop(Settings(num_images=NUM_IMAGES, metrics=("fid", "is", "kid", "prc"), device=device))


def numbers(record: Record) -> dict[str, float]:
    return {name: number.value for name, number in record.numbers.items() if number.value is not None}


@pytest.mark.parametrize("thing", UNTRAINED, ids=lambda c: f"{c.workload}-{c.strategy}-{c.recovery}")
def test_an_untrained_cell_has_the_numbers_of_the_cpu(thing: Cell, device: str) -> None:
    here, there = record_of(thing, shop("cpu")), record_of(thing, shop(device))
    assert there.status == here.status and there.architecture == here.architecture
    assert there.keys == here.keys and there.layers == here.layers
    a, b = numbers(here), numbers(there)
    assert a.keys() == b.keys()
    assert {name: b[name] for name in EXACT} == {name: a[name] for name in EXACT}
    for name in set(a) - set(EXACT):
        assert b[name] == pytest.approx(a[name], rel=FID, abs=0.02 if name.startswith(("d-", "prec", "rec")) else 2e-3)


@pytest.mark.parametrize(
    "thing",
    [
        cell("l1-channel-uniform", workload="mnist-dcgan", recovery="finetune-4"),
        cell("l1-channel-global+cubic", workload="mnist-dcgan", recovery="finetune-8"),
        cell("l1-weight-global", workload="mnist-mlp", recovery="finetune-4"),
        cell("dense", recovery="finetune-4"),
    ],
    ids=lambda c: f"{c.workload}-{c.strategy}-{c.recovery}",
)
def test_a_trained_cell_is_complete_and_near(thing: Cell, device: str) -> None:
    """Trainings part by their last bits, so only what is counted is the same."""
    here, there = record_of(thing, shop("cpu")), record_of(thing, shop(device))
    assert there.status == here.status and numbers(there).keys() == numbers(here).keys()
    for name in ("params", "macs_dense", "bytes"):
        assert numbers(there)[name] == pytest.approx(numbers(here)[name], rel=0.02)
    assert len(there.curve) == len(here.curve) > 1


def test_a_record_says_which_gpu_and_how_it_computes(cuda: str) -> None:
    record = record_of(cell("l1-weight-global", workload="mnist-mlp"), shop(cuda))
    made = record.provenance
    assert made.device == cuda and "NVIDIA" in made.machine["device"]
    assert made.machine["gpu"]["tf32"] is False and made.machine["gpu"]["cuda"]
    assert record.cost.peak_device_bytes and record.cost.peak_device_bytes > 1e6


def test_seeds_share_a_network_that_counting_left_on_the_cpu(device: str) -> None:
    first, second = (
        record_of(cell("l1-channel-uniform", workload="mnist-dcgan", seed=seed), shop(device)) for seed in (0, 1)
    )
    assert first.keys.prune == second.keys.prune and second.status == "ok"
