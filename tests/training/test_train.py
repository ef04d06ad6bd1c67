"""`ganprune train` on a miniature: resumable, honest about its files, and safe."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import UserError
from bench.tasks.generation import training as judging
from bench.training import train as module
from bench.training.train import train_workload
from bench.workloads.builtin import DUMMY
from bench.workloads.checkpoints import PARTS, initialise, load_checkpoint, load_initialisation, load_rewind
from bench.workloads.data import DATA_SOURCES
from bench.workloads.networks import parameter_total
from bench.workloads.store import half, load_into, read_weights, state_hash

STEPS = 12

TRAINED = replace(DUMMY, weights="shipped")
"""The miniature, but looked for in a folder as every other workload is."""


class Killed(BaseException):
    """What a test stops a training with."""


def no_pictures(patch: pytest.MonkeyPatch) -> None:
    for name in ("draw_training", "draw_samples"):
        patch.setattr(module, name, lambda *args: None)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images and no pictures: they are looked at in one test of their own."""
    monkeypatch.setattr(judging, "CURVE_IMAGES", 60)
    monkeypatch.setattr(judging, "FINAL_IMAGES", 80)
    monkeypatch.setattr(module, "CALIBRATION_IMAGES", 200)
    no_pictures(monkeypatch)


def train(out: Path, **options: Any) -> dict[str, Any]:
    return train_workload(DUMMY, out, **{"steps": STEPS, "curve_every": 5, "save_every": 3, **options})


def killed_at(out: Path, step: int, **options: Any) -> None:
    def kill(done: int, steps: int, text: str) -> None:
        if done == step:
            raise Killed

    with pytest.raises(Killed):
        train(out, progress=kill, **options)


def lasting(card: dict[str, Any]) -> dict[str, Any]:
    """The card without what differs between two equal trainings."""
    return {key: value for key, value in card.items() if key != "cpu_seconds"}


@pytest.mark.parametrize("step", [4, 6, 11])
def test_a_killed_training_continues_to_the_bit_identical_result(tmp_path: Path, step: int) -> None:
    undisturbed = train(tmp_path / "a")
    killed_at(tmp_path / "b", step)
    assert not (tmp_path / "b" / "card.json").exists()
    seen: list[int] = []
    resumed = train(tmp_path / "b", progress=lambda done, steps, text: seen.append(done))
    assert seen[0] == step - step % 3 + 1
    assert lasting(resumed) == lasting(undisturbed)
    for part in PARTS:
        assert (tmp_path / "a" / f"{part}.safetensors").read_bytes() == (
            tmp_path / "b" / f"{part}.safetensors"
        ).read_bytes()


def test_a_training_killed_before_its_first_state_starts_anew(tmp_path: Path) -> None:
    killed_at(tmp_path, 2)
    seen: list[int] = []
    train(tmp_path, progress=lambda done, steps, text: seen.append(done))
    assert seen == list(range(1, STEPS + 1))


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first = train(tmp_path)
    seen: list[int] = []
    second = train(tmp_path, progress=lambda done, steps, text: seen.append(done))
    assert seen == []
    assert lasting(first) == lasting(second)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed = 0, asked for 1"), ({"steps": 13}, "steps = 12, asked for 13")],
)
def test_a_state_of_other_arguments_is_refused(tmp_path: Path, change: dict[str, int], named: str) -> None:
    killed_at(tmp_path, 4)
    with pytest.raises(UserError, match=named) as caught:
        train(tmp_path, **change)
    assert str(tmp_path / "training.pt") in str(caught.value)


def test_a_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    killed_at(tmp_path, 4)
    other = replace(DUMMY, recipe=replace(DUMMY.recipe, spec=replace(DUMMY.recipe.spec, lr=0.1)))
    with pytest.raises(UserError, match="belongs to a training with spec"):
        train_workload(other, tmp_path, steps=STEPS)


def test_a_workload_without_a_discriminator_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no discriminator"):
        train_workload(replace(DUMMY, discriminator=None), tmp_path)


# What stands where the state of a training should.


def saved(content: Any, path: Path) -> None:
    torch.save(content, path)


def settings_of(steps: int = STEPS) -> dict[str, Any]:
    return {"workload": "dummy", "seed": 0, "steps": steps, "spec": asdict(DUMMY.recipe.spec)}


@pytest.mark.parametrize(
    "content",
    [b"", b"not a checkpoint", b"PK\x03\x04 half of an archive", pickle.dumps({"settings": {}}, protocol=2)],
    ids=["empty", "text", "zip", "pickle"],
)
def test_a_damaged_state_is_refused_with_its_place(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "training.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not the state of a training, or damaged") as caught:
        train(tmp_path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_state_cut_in_half_is_refused(tmp_path: Path) -> None:
    killed_at(tmp_path, 4)
    path = tmp_path / "training.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="damaged"):
        train(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"settings": 3, "log": {}},
        {"settings": settings_of(), "log": {"rows": [], "curve": [], "pending": [], "cpu_seconds": 0.0}},
        {"settings": settings_of(), "log": {}, "training": {}},
        {
            "settings": settings_of(),
            "log": {"rows": [], "curve": [], "pending": [], "cpu_seconds": 0.0},
            "training": {"step": 3, "generator": {"net.0.weight": torch.zeros(2)}},
        },
    ],
    ids=["list", "settings-not-a-dict", "no-training", "no-log", "other-networks"],
)
def test_a_state_that_loads_but_holds_something_else_is_refused(tmp_path: Path, content: Any) -> None:
    saved(content, tmp_path / "training.pt")
    with pytest.raises(UserError) as caught:
        train(tmp_path)
    assert str(tmp_path / "training.pt") in str(caught.value)


class Hostile:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("archive", [True, False], ids=["torch", "pickle"])
def test_a_hostile_state_is_refused_and_not_executed(tmp_path: Path, archive: bool) -> None:
    target, path = tmp_path / "owned", tmp_path / "out" / "training.pt"
    path.parent.mkdir()
    content = {"settings": settings_of(), "log": {}, "training": Hostile(target)}
    if archive:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(UserError, match="not the state of a training"):
        train(path.parent)
    assert not target.exists()
    if archive:  # the file is as hostile as it claims to be
        torch.load(path, weights_only=False)["training"].close()
        assert target.exists()


# What a training leaves behind.


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "CURVE_IMAGES", 60)
        patch.setattr(judging, "FINAL_IMAGES", 80)
        no_pictures(patch)
        train_workload(DUMMY, out, steps=40, curve_every=25, save_every=100)
    return out


def card_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return found


def test_the_card_says_how_the_weights_were_made(finished: Path) -> None:
    card, data = card_of(finished), DATA_SOURCES[DUMMY.data]()
    assert (card["workload"], card["seed"], card["steps"], card["rewind_step"]) == ("dummy", 0, 40, 2)
    assert card["spec"]["loss"] == "non-saturating"
    assert (card["data"], card["data_fingerprint"]) == (data.name, data.fingerprint)
    assert (card["training_images"], card["held_out_images"]) == (len(data.train), len(data.held_out))
    assert card["parameters"] == {
        "generator": parameter_total(DUMMY.generator()),
        "discriminator": parameter_total(DUMMY.discriminator()),  # type: ignore[misc]
    }
    assert [point["step"] for point in card["fid_curve"]] == [25, 40]
    assert card["num_images"] == 80


def test_the_hashes_are_those_of_the_files(finished: Path) -> None:
    assert card_of(finished)["hashes"] == {
        part: state_hash(read_weights(finished / f"{part}.safetensors")) for part in PARTS
    }


def test_the_weights_are_stored_in_half_precision(finished: Path) -> None:
    for part in PARTS:
        types = {t.dtype for t in read_weights(finished / f"{part}.safetensors").values() if t.is_floating_point()}
        assert types == {torch.float16}


def test_the_hash_of_the_initialisation_is_what_the_seed_draws_again(finished: Path) -> None:
    generator, _ = initialise(DUMMY, 0)
    assert card_of(finished)["initialisation"] == state_hash(generator.state_dict())
    again, _ = load_initialisation(TRAINED, str(finished))
    assert state_hash(again.state_dict()) == card_of(finished)["initialisation"]
    assert state_hash(initialise(DUMMY, 1)[0].state_dict()) != card_of(finished)["initialisation"]


def test_the_rewind_is_the_network_after_a_twentieth_of_the_steps(finished: Path, tmp_path: Path) -> None:
    def stop(done: int, steps: int, text: str) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        train_workload(DUMMY, tmp_path, steps=40, save_every=2, progress=stop)
    state = torch.load(tmp_path / "training.pt", weights_only=True)["training"]
    assert state["step"] == 2
    rewound = dict(zip(("generator", "discriminator"), load_rewind(TRAINED, str(finished)), strict=True))
    for part, network in rewound.items():
        fresh = initialise(DUMMY, 0)[part == "discriminator"]
        assert fresh is not None
        expected = load_into(fresh, half(state[part]), "test").state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_a_trained_folder_loads_as_a_checkpoint(finished: Path) -> None:
    checkpoint = load_checkpoint(TRAINED, str(finished))
    assert checkpoint.card == card_of(finished)
    assert not checkpoint.generator.training
    assert state_hash(half(checkpoint.generator.state_dict())) == checkpoint.card["hashes"]["generator"]


def test_another_seed_gives_other_weights(finished: Path, tmp_path: Path) -> None:
    card = train_workload(DUMMY, tmp_path, seed=1, steps=2)
    assert card["initialisation"] != card_of(finished)["initialisation"]
    assert card["hashes"]["generator"] != card_of(finished)["hashes"]["generator"]


def test_a_training_draws_its_curve_and_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    train_workload(DUMMY, tmp_path, steps=2)
    for name in ("curve.png", "samples.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n")
