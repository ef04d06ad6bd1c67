"""`dcgan-64`: the built-in architecture for those who have pictures and no GAN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import UserError
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.training.command import train
from bench.workloads.builtin import DCGAN_64
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.networks import Dcgan64Discriminator, Dcgan64Generator, parameter_total
from tests.helpers.pictures import pictures, write_pictures


def test_it_is_the_classic_of_three_and_a_half_million_parameters() -> None:
    generator = Dcgan64Generator()
    kernels = [100 * 512, 512 * 256, 256 * 128, 128 * 64, 64 * 3]
    assert parameter_total(generator) == 16 * sum(kernels) + 2 * (512 + 256 + 128 + 64) == 3_576_704
    with torch.no_grad():
        flat, square = generator(torch.zeros(2, 100)), generator(torch.zeros(2, 100, 1, 1))
    assert flat.shape == square.shape == (2, 3, 64, 64)
    assert Dcgan64Discriminator()(flat).shape == (2,)


def test_its_weights_have_the_names_of_pytorchs_example() -> None:
    names = [name for name, _ in Dcgan64Generator().named_parameters()]
    assert names[:3] == ["main.0.weight", "main.1.weight", "main.1.bias"]
    assert names[-1] == "main.12.weight"
    assert [name for name, _ in Dcgan64Discriminator().named_parameters()][-1] == "main.11.weight"


def teach(
    out: Path, data: Path | str | None, name: str = "dcgan-64", note: Callable[[str], None] | None = None
) -> dict[str, Any]:
    said = None if data is None else str(data)
    return train(name, out, seed=0, steps=2, data=said, device="cpu", progress=lambda *_: None, note=note)


@pytest.mark.slow
@pytest.mark.parametrize("labelled", [True, False])
def test_it_learns_from_a_folder_of_pictures_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labelled: bool
) -> None:
    monkeypatch.setattr("bench.training.train.CALIBRATION_IMAGES", 20)
    for name in ("CURVE_IMAGES", "FINAL_IMAGES"):
        monkeypatch.setattr(f"bench.tasks.generation.training.{name}", 20)
    photos = write_pictures(tmp_path / "photos", pictures(64, height=80, width=70), labelled=labelled)
    (photos / "words.txt").write_text("x")
    out, notes = tmp_path / "out", list[str]()
    card = teach(out, photos, note=notes.append)
    assert notes == [f"data: {photos}: left out: 1 file of another ending (.txt 1)."]
    assert card["training_images"] + card["held_out_images"] == 64
    assert ("fid" in card) == labelled
    text = (out / "MODEL_CARD.md").read_text()
    assert ("FID to the training images" in text) == labelled
    assert ("was not measured" in text) != labelled
    assert (out / "samples.png").is_file()
    trained = load_checkpoint(DCGAN_64, str(out))
    assert not torch.equal(trained.generator.state_dict()["main.0.weight"], Dcgan64Generator().main[0].weight)
    loaded = Workshop(Settings(num_images=20, metrics=())).load("dcgan-64", str(out))
    assert loaded.gan.data.fingerprint == card["data_fingerprint"]


def test_what_it_cannot_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name their folder with --data FOLDER"):
        teach(tmp_path / "out", None)
    with pytest.raises(UserError, match="no such folder"):
        teach(tmp_path / "out", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"Folders are for dcgan-64; mnist-mlp has its own"):
        teach(tmp_path / "out", tmp_path, "mnist-mlp")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in"):
        teach(tmp_path / "out", tmp_path / "empty")


def test_it_comes_without_weights_and_says_how_to_make_them() -> None:
    with pytest.raises(UserError, match=r"comes without weights\. Train it on your images, `ganprune train dcgan-64"):
        load_checkpoint(DCGAN_64)
