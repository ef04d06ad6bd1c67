"""Shipped weights load; damaged, exchanged and foreign ones do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import UserError
from bench.base.outside import read_json
from bench.base.seeds import stream
from bench.tasks.generation.judge_networks import LeNet
from bench.workloads.builtin import BUILT_IN, DUMMY
from bench.workloads.checkpoints import (
    PARTS,
    REWIND,
    NoEarlierState,
    further,
    initialise,
    load_checkpoint,
    load_initialisation,
    load_rewind,
    shipped_folder,
)
from bench.workloads.networks import parameter_total
from bench.workloads.store import half, load_into, read_weights, state_hash, write_weights
from strategies.layers import named_weights

SHIPPED = [name for name in ("mnist-dcgan", "mnist-mlp") if shipped_folder(name).is_dir()]

TRAINED = replace(DUMMY, weights="shipped")
"""The miniature, but read from a folder as every other workload is."""


# What is shipped.


def test_the_convolutional_gan_is_shipped() -> None:
    assert "mnist-dcgan" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_those_of_their_card(name: str) -> None:
    folder = shipped_folder(name)
    card = read_json(folder / "card.json")
    states = {part: read_weights(folder / f"{part}.safetensors") for part in PARTS}
    assert {part: state_hash(state) for part, state in states.items()} == card["hashes"]
    assert {t.dtype for s in states.values() for t in s.values() if t.is_floating_point()} == {torch.float16}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_load_and_draw(name: str) -> None:
    workload = BUILT_IN[name]
    found = load_checkpoint(workload)
    assert (found.name, found.card["workload"]) == ("shipped", name)
    assert state_hash(half(found.generator.state_dict())) == found.card["hashes"]["generator"]
    assert found.discriminator is not None
    assert not found.generator.training and not found.discriminator.training
    with torch.no_grad():
        images = found.generator(*workload.inputs.sample(4, stream(0, "eval")))
        logits = found.discriminator(images)
    assert images.shape == (4, 1, 28, 28) and logits.shape == (4,)
    assert images.abs().max() <= 1 and images.std() > 0.3


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_generators_are_large_enough_and_no_layer_is_most_of_them(name: str) -> None:
    generator = BUILT_IN[name].generator()
    assert 0.9e6 < parameter_total(generator) < 1.6e6
    sizes = [weight.numel() for _, weight in named_weights(generator)]
    assert max(sizes) <= 2 / 3 * parameter_total(generator)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_rewind_is_neither_the_start_nor_the_end(name: str) -> None:
    rewound, discriminator = load_rewind(BUILT_IN[name])
    start, _ = initialise(BUILT_IN[name], 0)
    end = load_checkpoint(BUILT_IN[name]).generator
    assert len({state_hash(half(model.state_dict())) for model in (rewound, start, end)}) == 3
    assert (
        parameter_total(discriminator) == read_json(shipped_folder(name) / "card.json")["parameters"]["discriminator"]
    )


def test_the_shipped_judge_is_that_of_its_card() -> None:
    folder = shipped_folder("mnist-lenet")
    state = read_weights(folder / "classifier.safetensors")
    assert state_hash(state) == read_json(folder / "card.json")["hashes"]["classifier"]
    load_into(LeNet(), state, "lenet")


def test_everything_shipped_is_small() -> None:
    files = [path for path in shipped_folder("x").parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 60e6


@pytest.mark.parametrize("name", [*BUILT_IN])
def test_further_trainings_are_those_of_their_cards_and_all_different(name: str) -> None:
    """By the data of the one that is called shipped, by the same network and judge."""
    names = further(name)
    if not names:
        return
    base = load_checkpoint(BUILT_IN[name])
    found = [load_checkpoint(BUILT_IN[name], checkpoint) for checkpoint in names]
    assert len({checkpoint.fingerprint for checkpoint in (base, *found)}) == len(found) + 1
    for checkpoint in found:
        assert checkpoint.name == f"seed-{checkpoint.card['seed']}"
        for same in ("data", "data_fingerprint", "parameters", "spec", "extractor", "extractor_fingerprint"):
            assert checkpoint.card[same] == base.card[same], (checkpoint.name, same)


# What is drawn.


def test_an_initialisation_is_a_function_of_the_seed_alone() -> None:
    first, again, other = (initialise(DUMMY, seed)[0].state_dict() for seed in (0, 0, 1))
    torch.rand(1)
    assert state_hash(first) == state_hash(again) != state_hash(other)


def test_drawing_an_initialisation_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    initialise(DUMMY, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_miniature_needs_no_files_and_is_the_same_every_time() -> None:
    one, other = load_checkpoint(DUMMY), load_checkpoint(DUMMY)
    assert one.fingerprint == other.fingerprint
    assert not one.generator.training
    assert one.generator is not other.generator


# What is not right.


def save(folder: Path, *, seed: int = 0, **card: Any) -> Path:
    """A checkpoint of the miniature; ``rewind-*`` is another initialisation."""
    states = {}
    for prefix, drawn in (("", seed), ("rewind-", seed + 1)):
        generator, discriminator = initialise(DUMMY, drawn)
        assert discriminator is not None
        states[f"{prefix}generator"] = half(generator.state_dict())
        states[f"{prefix}discriminator"] = half(discriminator.state_dict())
    for part, state in states.items():
        write_weights(folder / f"{part}.safetensors", state)
    content = {
        "workload": "dummy",
        "seed": seed,
        "torch": "9.9",
        "initialisation": state_hash(initialise(DUMMY, seed)[0].state_dict()),
        "hashes": {part: state_hash(state) for part, state in states.items()},
    }
    (folder / "card.json").write_text(json.dumps(content | card), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "trained")


def exchange(folder: Path, part: str, state: dict[str, torch.Tensor]) -> None:
    """Put other weights in place, and make the card say that they are the right ones."""
    write_weights(folder / f"{part}.safetensors", state)
    card = read_json(folder / "card.json")
    card["hashes"][part] = state_hash(state)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def refused(folder: Path, place: str, load: Callable[..., Any] = load_checkpoint) -> str:
    with pytest.raises(UserError) as caught:
        load(TRAINED, str(folder))
    assert str(folder / place) in str(caught.value)
    return str(caught.value)


def test_a_whole_folder_loads(folder: Path) -> None:
    found = load_checkpoint(TRAINED, str(folder))
    assert found.card["seed"] == 0
    rewound, _ = load_rewind(TRAINED, str(folder))
    assert state_hash(half(rewound.state_dict())) == found.card["hashes"]["rewind-generator"]


def test_the_fingerprint_depends_on_both_networks(folder: Path) -> None:
    base = load_checkpoint(TRAINED, str(folder)).fingerprint
    assert load_checkpoint(TRAINED, str(folder)).fingerprint == base
    for part in PARTS[:2]:
        state = read_weights(folder / f"{part}.safetensors")
        name = next(name for name, value in state.items() if value.is_floating_point())
        exchange(folder, part, state | {name: state[name] + 1})
        changed = load_checkpoint(TRAINED, str(folder)).fingerprint
        assert changed != base
        base = changed


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_one_flipped_bit_is_noticed(folder: Path, part: str) -> None:
    path = folder / f"{part}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "Damaged or exchanged" in refused(folder, path.name)


@pytest.mark.parametrize("part", PARTS)
def test_a_truncated_file_is_refused(folder: Path, part: str) -> None:
    path = folder / f"{part}.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    load = load_rewind if part.startswith("rewind") else load_checkpoint
    assert "damaged" in refused(folder, path.name, load)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_file_is_refused(folder: Path, part: str) -> None:
    (folder / f"{part}.safetensors").unlink()
    load = load_rewind if part.startswith("rewind") else load_checkpoint
    assert "cannot be read" in refused(folder, f"{part}.safetensors", load)


def test_a_torch_file_in_place_of_the_weights_is_refused(folder: Path) -> None:
    torch.save(initialise(DUMMY, 0)[0].state_dict(), folder / "generator.safetensors")
    assert "pickles are never opened" in refused(folder, "generator.safetensors")


def test_networks_exchanged_for_each_other_are_noticed(folder: Path) -> None:
    shutil.copy(folder / "rewind-generator.safetensors", folder / "generator.safetensors")
    assert "Damaged or exchanged" in refused(folder, "generator.safetensors")


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    state = read_weights(folder / "generator.safetensors")
    exchange(folder, "generator", state | {"net.3.weight": torch.zeros(10, 12, 5, 5)})
    message = refused(folder, "generator.safetensors")
    assert "net.3.weight is (10, 12, 5, 5), expected (10, 12, 3, 3)" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(folder: Path, value: float) -> None:
    state = read_weights(folder / "generator.safetensors")
    exchange(folder, "generator", state | {"net.6.bias": torch.tensor([value])})
    assert "net.6.bias holds values that are not finite" in refused(folder, "generator.safetensors")


def test_the_networks_of_another_workload_are_refused(folder: Path) -> None:
    other = BUILT_IN["mnist-mlp"].generator().state_dict()
    exchange(folder, "generator", half(other))
    assert "does not fit DummyGenerator" in refused(folder, "generator.safetensors")


@pytest.mark.parametrize("part", ["rewind-generator", "rewind-discriminator"])
def test_a_rewind_of_another_network_is_refused(folder: Path, part: str) -> None:
    exchange(folder, part, {"x": torch.zeros(1)})
    assert "does not fit Dummy" in refused(folder, "", load_rewind)


def test_the_card_of_another_workload_is_refused(tmp_path: Path) -> None:
    message = refused(save(tmp_path, workload="mnist-mlp"), "card.json")
    assert "describes 'mnist-mlp', expected a training of 'dummy'" in message


@pytest.mark.parametrize("content", ["", "{", "[]", '"dummy"', "{}", '{"workload": 3}', '{"workload": "dummy"}'])
@pytest.mark.parametrize("load", [load_checkpoint, load_initialisation], ids=lambda load: load.__name__)
def test_a_card_that_says_something_else_is_refused(folder: Path, content: str, load: Callable[..., Any]) -> None:
    (folder / "card.json").write_text(content, encoding="utf-8")
    refused(folder, "", load)


@pytest.mark.parametrize(
    ("load", "content"),
    [
        (load_checkpoint, '{"workload": "dummy", "hashes": []}'),
        (load_rewind, '{"workload": "dummy", "hashes": []}'),
        (load_rewind, "[]"),
        (load_rewind, '"dummy"'),
    ],
)
def test_a_card_of_another_form_is_refused_whoever_reads_it(
    folder: Path, load: Callable[..., Any], content: str
) -> None:
    (folder / "card.json").write_text(content, encoding="utf-8")
    refused(folder, "", load)


def test_a_training_without_its_snapshot_loads_and_cannot_be_rewound(folder: Path) -> None:
    for part in REWIND:
        (folder / f"{part}.safetensors").unlink()
    assert load_checkpoint(TRAINED, str(folder)).card["seed"] == 0
    load_initialisation(TRAINED, str(folder))
    with pytest.raises(NoEarlierState, match="without the snapshot"):
        load_rewind(TRAINED, str(folder))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with three trainings of the miniature; returns the folder of the first."""
    monkeypatch.setattr("bench.workloads.checkpoints.shipped_folder", lambda name: tmp_path / "weights" / name)
    for seed, place in enumerate((".", "seed-2", "seed-10")):
        save(tmp_path / "weights" / "dummy" / place, seed=seed)
    for odd in ("seed-", "seed-x", "seed-1-old"):
        (tmp_path / "weights" / "dummy" / odd).mkdir()
    return tmp_path / "weights" / "dummy"


def test_further_trainings_of_the_package_have_names(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert further("dummy") == ["seed-2", "seed-10"] and further("mnist-mlp") == []
    seeds = {name: load_checkpoint(TRAINED, name).card["seed"] for name in ("shipped", *further("dummy"))}
    assert seeds == {"shipped": 0, "seed-2": 1, "seed-10": 2}
    with pytest.raises(UserError, match=r"no folder seed-3\. Use 'shipped', 'seed-2', 'seed-10', or make one"):
        load_checkpoint(TRAINED, "seed-3")
    save(tmp_path / "seed-2", seed=7)
    save(tmp_path / "seed-3", seed=8)
    monkeypatch.chdir(tmp_path)
    found = {name: load_checkpoint(TRAINED, name).card["seed"] for name in ("seed-2", "./seed-2", "seed-3")}
    assert found == {"seed-2": 1, "./seed-2": 7, "seed-3": 8}


@pytest.mark.parametrize("load", [load_checkpoint, load_rewind, load_initialisation], ids=lambda load: load.__name__)
def test_a_missing_folder_is_refused_with_what_to_do(tmp_path: Path, load: Callable[..., Any]) -> None:
    assert "ganprune train dummy --out" in refused(tmp_path / "none", "", load)


def test_an_initialisation_that_torch_draws_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"draws another initialisation from seed 0 than torch 9\.9 did"):
        load_initialisation(TRAINED, str(save(tmp_path, initialisation="0" * 64)))


def test_the_initialisation_is_that_of_the_cards_seed(tmp_path: Path) -> None:
    generator, discriminator = load_initialisation(TRAINED, str(save(tmp_path, seed=5)))
    expected = initialise(DUMMY, 5)
    assert discriminator is not None and expected[1] is not None
    assert state_hash(generator.state_dict()) == state_hash(expected[0].state_dict())
    assert state_hash(discriminator.state_dict()) == state_hash(expected[1].state_dict())


def test_the_name_of_the_workload_stands_in_for_its_place_in_a_folders_name() -> None:
    """One list of checkpoints serves several workloads."""
    with pytest.raises(UserError, match=r"no folder nowhere/mnist-mlp-1\."):
        load_checkpoint(BUILT_IN["mnist-mlp"], "nowhere/{workload}-1")
