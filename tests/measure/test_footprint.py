"""Parameters and bytes counted by hand."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bench.measure.footprint import (
    LayerSize,
    _bitmask_bytes,
    footprint,
    nonzero,
    peak_cuda_bytes,
    peak_resident_bytes,
    rusage_bytes,
)
from bench.workloads.networks import DcganGenerator, parameter_total


def filled(layer: nn.Linear, nonzero: int) -> nn.Linear:
    """The layer with so many ones in its weight, the rest 0, and a bias of ones."""
    with torch.no_grad():
        layer.weight.zero_().view(-1)[:nonzero] = 1
        if layer.bias is not None:
            layer.bias.fill_(1)
    return layer


def test_parameters_include_biases_and_norms() -> None:
    assert footprint(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))).params == 15 + 5 + 5 + 5


def test_weights_are_those_of_convolution_and_linear_layers_only() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 5))
    assert footprint(model).weights == 2 * 4 * 9 + 20


def test_zeros_are_counted_apart() -> None:
    size = footprint(filled(nn.Linear(10, 4), nonzero=7))
    assert (size.params, size.params_nonzero, size.weights, size.weights_nonzero) == (44, 11, 40, 7)


def test_a_shared_layer_counts_once() -> None:
    layer = nn.Linear(4, 4, bias=False)
    size = footprint(nn.Sequential(layer, layer))
    assert (size.params, size.weights, size.bytes_dense) == (16, 16, 64)


def test_a_weight_that_two_layers_share_counts_once() -> None:
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    size = footprint(nn.Sequential(first, second))
    assert (size.params, size.weights, size.bytes_dense) == (16, 16, 64)


def test_dense_bytes_are_four_for_each_real_number_and_eight_for_a_counter() -> None:
    assert footprint(nn.BatchNorm2d(6)).bytes_dense == 4 * (6 + 6 + 6 + 6) + 8


def test_dense_bytes_are_those_of_fp32_whatever_the_type_in_memory() -> None:
    assert footprint(nn.Linear(4, 4, bias=False).half()).bytes_dense == 64


def test_buffers_that_are_not_saved_take_no_bytes() -> None:
    model = nn.Linear(4, 4, bias=False)
    model.register_buffer("scratch", torch.zeros(100), persistent=False)
    assert footprint(model).bytes_dense == 64


def test_bitmask_bytes_are_a_bit_a_weight_rounded_up_and_four_bytes_a_nonzero() -> None:
    size = footprint(filled(nn.Linear(5, 3, bias=False), nonzero=2))
    assert size.bytes_bitmask == 2 + 4 * 2


def test_bitmask_is_not_used_where_dense_is_smaller() -> None:
    full, sparse = filled(nn.Linear(8, 8, bias=False), 64), filled(nn.Linear(8, 8, bias=False), 4)
    size = footprint(nn.Sequential(full, sparse))
    assert (size.bytes_dense, size.bytes_bitmask) == (512, 256 + 8 + 16)


def test_a_bias_of_zeros_is_stored_dense() -> None:
    layer = filled(nn.Linear(8, 8), 64)
    nn.init.zeros_(layer.bias)
    assert footprint(layer).bytes_bitmask == footprint(layer).bytes_dense


def test_the_dcgan_has_971_thousand_weights() -> None:
    generator = DcganGenerator()
    size = footprint(generator)
    assert (size.params, size.weights) == (parameter_total(generator), 971_184)
    assert size.bytes_dense == 4 * (971_857 + 2 * 336) + 3 * 8


def test_peak_resident_memory_is_at_least_what_was_just_filled() -> None:
    block = torch.ones(2_000_000)
    assert peak_resident_bytes() > block.numel() * 4


@pytest.mark.parametrize(("platform", "expected"), [("linux", 2_048), ("darwin", 2)])
def test_resident_memory_is_in_the_units_of_the_platform(platform: str, expected: int) -> None:
    assert rusage_bytes(2, platform) == expected


def test_a_cpu_has_no_cuda_memory() -> None:
    assert peak_cuda_bytes("cpu") is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_peak_cuda_memory_is_at_least_what_is_held() -> None:
    block = torch.ones(1_000_000, device="cuda")
    assert (peak_cuda_bytes() or 0) >= block.numel() * 4


def test_what_is_not_zero_is_counted_in_every_layout_and_type() -> None:
    values = torch.tensor([0.0, -0.0, 1.0, float("nan"), -2.0, 0.0]).repeat(4).view(2, 3, 2, 2)
    assert nonzero(values) == nonzero(values.to(memory_format=torch.channels_last)) == 12
    assert nonzero(values.bfloat16()) == nonzero(values != 0) == 12


def test_each_layer_stands_by_itself_with_a_shared_weight_in_the_first() -> None:
    first, second = filled(nn.Linear(4, 4), nonzero=3), nn.Linear(4, 4)
    second.weight = first.weight
    size = footprint(nn.Sequential(first, second, filled(nn.Linear(4, 2), nonzero=5)))
    assert size.layers == {"0": LayerSize(16, 3), "2": LayerSize(8, 5)}
    assert size.weights_nonzero == 8


@pytest.mark.parametrize(("count", "mask"), [(0, 0), (1, 1), (8, 1), (9, 2), (17, 3), (64, 8), (65, 9), (80, 10)])
def test_a_bitmask_has_a_bit_for_each_value_in_whole_bytes_and_four_bytes_for_each_that_stays(
    count: int, mask: int
) -> None:
    assert _bitmask_bytes(torch.zeros(count), 0) == mask
    assert _bitmask_bytes(torch.zeros(count), 5) == mask + 20


def test_peak_memory_is_what_the_kernel_says_of_this_process_and_not_of_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/proc/self/status")
    monkeypatch.setattr(Path, "read_text", lambda self: "Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t     3 kB\n")
    assert peak_resident_bytes() == 3 * 1024


def test_peak_memory_is_asked_of_getrusage_where_there_is_no_such_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: False)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=7))
    assert peak_resident_bytes() == rusage_bytes(7, sys.platform)


@pytest.mark.parametrize(
    ("device", "there", "expected"), [("cuda", True, 5), ("cuda", False, None), ("cpu", True, None)]
)
def test_cuda_memory_is_that_of_a_device_that_is_there(
    device: str, there: bool, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda asked: 5)
    assert peak_cuda_bytes(device) == expected
