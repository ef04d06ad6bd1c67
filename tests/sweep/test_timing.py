"""Which pairs are timed: one for each architecture and backend, and for each density where zeros are skipped."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from bench.measure.backends import BACKENDS
from bench.measure.blocks import Plan
from bench.measure.latency import measure_latency
from bench.records import Record
from bench.records.zeros import Zeros, zeros_of
from bench.sweep.settings import Settings
from bench.sweep.timing import LatencyTask, dense_network, latency_tasks, plant, rebuilt, time_task
from bench.sweep.workshop import Workshop
from bench.workloads.builtin import BUILT_IN
from strategies.cut import LayerCut
from strategies.granularity.nm import pattern
from strategies.layers import prunable_layers, widths
from tests.helpers.cells import NUM_IMAGES, cell, record_of
from tests.helpers.networks import TINY_MLP

CATALOGUE = BUILT_IN.plus(TINY_MLP)


@pytest.fixture
def records(tiny_mlp: str, shop: Workshop) -> list[Record]:
    names = [("dense", 0.0), ("l1-weight-global", 0.5), ("l1-weight-global", 0.9), ("l1-channel-uniform", 0.5)]
    return [record_of(cell(name, level, workload=tiny_mlp), shop) for name, level in names]


def tasks(records: list[Record], *backends: str, batches: tuple[int, ...] = (1,)) -> list[LatencyTask]:
    return latency_tasks(records, CATALOGUE, devices=["cpu"], batches=batches, backends=backends)


def test_masks_share_the_pair_of_dense_on_dense_kernels(records: list[Record]) -> None:
    found = tasks(records, "eager", "onnx", batches=(1, 16))
    assert len({task.key for task in found}) == len(found) == 2 * 2 * 2  # architectures x batches x backends
    assert {task.zeros for task in found} == {Zeros(())}


def test_where_zeros_are_skipped_each_density_is_a_pair_of_its_own(records: list[Record]) -> None:
    found = tasks(records, "csr")
    assert len(found) == 4  # dense, two densities, the compact one
    assert {task.zeros.hash for task in found} == {zeros_of(record).hash for record in records}


def test_seeds_of_equal_densities_share_a_pair(tiny_mlp: str, shop: Workshop, records: list[Record]) -> None:
    again = [record_of(cell("l1-weight-global", 0.5, workload=tiny_mlp, seed=1), shop)]
    assert len(tasks(records + again, "csr")) == len(tasks(records, "csr"))


def test_the_zeros_of_a_record_are_those_of_its_layers(records: list[Record]) -> None:
    assert [zeros_of(record).density != () for record in records] == [False, True, True, False]
    for name, density in zeros_of(records[1]).density:
        layer = next(layer for layer in records[1].layers if layer.name == name)
        assert density == round(layer.kept / layer.weights, 3) < 1


def layer(kept: int, width: tuple[int, int] = (4, 8), kept_width: tuple[int, int] = (4, 8)) -> LayerCut:
    return LayerCut(name="x", kind="Linear", weights=32, kept=kept, width=width, kept_width=kept_width)


@pytest.mark.parametrize(
    ("strategy", "given", "density", "n_of_m"),
    [
        ("l1-weight-global", layer(8), (("x", 0.25),), None),
        ("l1-nm-2-4", layer(16), (("x", 0.5),), (2, 4)),
        ("l1-nm-1-4+cubic", layer(8), (("x", 0.25),), (1, 4)),
        ("l1-weight-global", layer(32), (), None),
        ("l1-channel-global", layer(16, kept_width=(2, 8)), (), None),
        ("l1-channel-global", layer(8, kept_width=(2, 8)), (("x", 0.5),), None),
        ("removal-block", layer(0, kept_width=(0, 0)), (), None),
        ("unlike-share", layer(0), (), None),
        ("l1-weight-global", layer(0), (("x", 0.0),), None),
    ],
)
def test_density_is_counted_in_what_is_left_of_a_layer(
    strategy: str, given: LayerCut, density: tuple[object, ...], n_of_m: object, records: list[Record]
) -> None:
    other = records[1].cell.model_copy(update={"strategy": strategy})
    found = zeros_of(records[1].model_copy(update={"cell": other, "layers": [given]}))
    assert (found.density, found.n_of_m) == (density, n_of_m)
    assert bool(found.hash) == bool(density)


def test_planted_zeros_are_the_smallest_weights_in_the_right_number() -> None:
    model = nn.Sequential(nn.Linear(20, 10), nn.Conv2d(3, 5, 2))
    before = [parameter.detach().clone() for parameter in (model[0].weight, model[1].weight)]
    plant(model, Zeros((("0", 0.25), ("1", 0.5))))
    for old, new, kept in zip(before, (model[0].weight, model[1].weight), (50, 30), strict=True):
        assert int(new.count_nonzero()) == kept
        stayed = new != 0
        assert torch.equal(new[stayed], old[stayed])
        assert old[stayed].abs().min() >= old[~stayed].abs().max()


def test_planted_patterns_are_those_of_the_granularity() -> None:
    model = nn.Sequential(nn.Linear(16, 8))
    expected = pattern(model[0].weight.detach().abs(), 1, 2, 4)
    plant(model, Zeros((("0", 0.5),), n_of_m=(2, 4)))
    assert torch.equal(model[0].weight != 0, expected)


def test_what_is_timed_has_the_widths_of_the_record(records: list[Record]) -> None:
    dense = TINY_MLP.generator()
    for record, task in zip(records, tasks(records, "csr"), strict=True):
        assert record.architecture is not None
        network = rebuilt(dense, task)
        assert widths(network) == record.architecture.widths
        found = {name: int(x.weight.count_nonzero()) / x.weight.numel() for name, x in prunable_layers(network).items()}
        for name, density in task.zeros.density:
            assert found[name] == pytest.approx(density, abs=0.03)


class Blocks(nn.Module):
    """``(B, 4) -> (B, 1, 8, 8)`` with a block that can go."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.block, self.last = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 64)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = torch.tanh(self.last(torch.relu(self.block(torch.relu(self.first(z))))))
        return x.view(-1, 1, 8, 8)


def test_a_network_without_a_block_is_timed_without_it(tiny_mlp: str) -> None:
    shop = Workshop(Settings(num_images=NUM_IMAGES, catalogue=BUILT_IN.plus(replace(TINY_MLP, generator=Blocks))))
    pair = [record_of(cell(name, 0.1, workload=tiny_mlp), shop) for name in ("dense", "random-block")]
    task = tasks(pair, "eager")[-1]
    assert task.bypassed == ("block",)
    assert isinstance(rebuilt(Blocks(), task).get_submodule("block"), nn.Identity)
    with pytest.raises(RuntimeError, match="cannot be rebuilt from its record"):
        rebuilt(Blocks(), LatencyTask(**{**vars(task), "bypassed": ()}))


@pytest.mark.parametrize(("backend", "statuses"), [("csr", {"ok", "invalid"}), ("nm-2-4", {"unavailable"})])
def test_a_task_becomes_a_record_that_says_how_it_ended(
    backend: str, statuses: set[str], records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Plan(warmup=1, rounds=1, min_seconds=0, max_rounds=1, max_seconds=0)
    monkeypatch.setattr("bench.sweep.timing.measure_latency", partial(measure_latency, plan=quick, builds=2))
    task = tasks(records, backend)[1]
    record = time_task(task, TINY_MLP, dense_network(TINY_MLP, "shipped"))
    assert record.status in statuses
    assert (record.backend, record.zeros, record.latency_key) == (backend, task.zeros.hash, task.key)
    assert record.dtype == BACKENDS[backend].dtype
