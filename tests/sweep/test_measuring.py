"""What measuring a cell leaves on disk, and what it reads there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bench.sweep.workshop
from bench.records import Cell, Number, Record
from bench.sweep.cell import run_cell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation.evaluation import AGREEMENT_IMAGES, SAMPLE_IMAGES, GenerationJudge
from bench.workloads.networks import parameter_total
from bench.workloads.store import read_weights, write_weights
from tests.helpers.cells import NUM_IMAGES, cell, planned, record_of

PSNR = "psnr-to-dense"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(num_images=NUM_IMAGES, run=tmp_path, sample_seed=1)


@pytest.fixture
def kept(settings: Settings) -> Path:
    """The dense images and features that a dense cell of seed 0 left."""
    shop = Workshop(settings)
    thing = planned(cell("dense"), shop)
    run_cell(thing.cell, shop)
    assert shop.paths is not None
    return shop.paths.dense_reference(thing.keys.eval)


def psnr(record: Record) -> Number:
    return record.numbers[PSNR]


def test_a_dense_cell_leaves_its_images_and_features_for_the_others(kept: Path) -> None:
    state = read_weights(kept)
    count = min(NUM_IMAGES, AGREEMENT_IMAGES)
    assert state["images"].shape == (count, 1, 8, 8) and state["images"].dtype == torch.uint8
    assert state["features"].shape == (count, 6)


def test_agreement_is_with_the_images_that_were_kept(kept: Path, settings: Settings) -> None:
    true = psnr(record_of(cell(), Workshop(settings)))
    state = read_weights(kept)
    write_weights(kept, state | {"images": 255 - state["images"]})
    assert psnr(record_of(cell(), Workshop(settings))) != true


@pytest.mark.parametrize("damage", [b"", b"\x80\x04pickle", None], ids=["empty", "not-safetensors", "cut-off"])
def test_damaged_dense_images_are_made_again(kept: Path, settings: Settings, damage: bytes | None) -> None:
    true = psnr(record_of(cell(), Workshop(settings)))
    whole = kept.read_bytes()
    kept.write_bytes(whole[:200] if damage is None else damage)
    assert psnr(record_of(cell(), Workshop(settings))) == true
    assert kept.read_bytes() == whole


def test_images_are_kept_for_one_seed(settings: Settings) -> None:
    shop = Workshop(settings)
    assert shop.paths is not None
    found: dict[int, Path] = {}
    for seed in (0, 1):
        thing = planned(cell(seed=seed), shop)
        run_cell(thing.cell, shop)
        found[seed] = shop.paths.cell_samples(thing.keys.eval)
    assert not found[0].exists()
    assert read_weights(found[1])["images"].shape == (SAMPLE_IMAGES, 1, 8, 8)


def test_samples_of_all_strategies_are_of_the_same_inputs(settings: Settings) -> None:
    shop = Workshop(settings)
    assert shop.paths is not None
    images = []
    for thing in (cell("dense", seed=1), cell(sparsity=1 / 2776, seed=1), cell("random-weight-global", 0.9, seed=1)):
        keys = shop.resolve(thing).keys
        run_cell(thing, shop)
        images.append(read_weights(shop.paths.cell_samples(keys.eval))["images"].float())
    dense, same, other = images
    assert (dense - same).abs().mean() < 2 < (dense - other).abs().mean()


def test_nothing_is_written_without_a_run(
    shop: Workshop, dense: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for thing in (dense, cell(recovery="finetune-2")):
        record_of(thing, shop)
    assert list(tmp_path.iterdir()) == []


def test_each_architecture_is_counted_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, int]] = []

    def spy(name: str) -> None:
        count = getattr(bench.sweep.workshop, name)

        def call(model: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
            counted.append((name, parameter_total(model)))
            return count(model, inputs)

        monkeypatch.setattr(bench.sweep.workshop, name, call)

    spy("count_macs")
    spy("count_macs_fvcore")
    shop = Workshop(settings)
    generator = parameter_total(shop.load("dummy", "shipped").gan.checkpoint.generator)
    records = [record_of(cell(sparsity=sparsity), shop) for sparsity in (0.3, 0.6)]
    assert [name for name, size in counted if size == generator] == ["count_macs", "count_macs_fvcore"]
    smaller = record_of(cell("l1-channel-global"), shop)
    size = int(smaller.numbers["params"].value or 0)
    assert [name for name, found in counted if found == size] == ["count_macs", "count_macs_fvcore"]
    effective = [record.numbers["macs_effective"].value or 0 for record in records]
    dense = [record.numbers["macs_dense"].value for record in records]
    assert (
        effective[0] > effective[1] and dense[0] == dense[1] == shop.forward_macs(shop.load("dummy", "shipped").gan)[0]
    )
    alone = record_of(cell(sparsity=0.6), Workshop(settings))
    assert alone.numbers == records[1].numbers


def test_what_methods_without_a_network_reach_is_kept_with_dense(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = {"constant": {"fid[dummy]": 99.5}}
    monkeypatch.setattr(GenerationJudge, "trivial", lambda self: reached)
    shop = Workshop(settings)
    assert record_of(cell("dense"), shop).numbers["fid[dummy]~constant"] == 99.5
    assert not any("~" in name for name in record_of(cell(), shop).numbers)
