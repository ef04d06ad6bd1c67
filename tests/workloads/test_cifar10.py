"""The class-conditional workload: its networks, its inputs, its judge, and what there is without the images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.base.errors import UserError
from bench.base.seeds import stream
from bench.measure.complexity import count_macs
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation.extractors import EXTRACTORS
from bench.training.train import train_workload
from bench.workloads.base import InputSpec
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.cifar10 import CifarDiscriminator, CifarGenerator
from bench.workloads.cifar_data import CLASSES, PICTURES, PLACE, cifar10, statistics
from bench.workloads.spec import CLASSIFIER
from strategies.base import Context, Level
from strategies.builtin import STRATEGIES
from strategies.layers import widths
from tests.helpers.cells import cell, record_of


@pytest.fixture(autouse=True)
def _no_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    cifar10.cache_clear()


def test_labels_are_drawn_behind_the_latents_and_leave_them_alone() -> None:
    with_labels = InputSpec(latent=4, classes=3).sample(50, stream(0, "eval"))
    (alone,) = InputSpec(latent=4).sample(50, stream(0, "eval"))
    assert torch.equal(with_labels[0], alone)
    assert with_labels[1].dtype == torch.int64 and set(with_labels[1].tolist()) == {0, 1, 2}
    assert InputSpec(latent=4).identity == {"latent": 4}


def test_every_channel_but_those_of_the_image_can_go() -> None:
    torch.manual_seed(0)
    model = CifarGenerator((32, 24, 16, 8)).eval()
    given = Context(model, (torch.randn(2, 128), torch.tensor([1, 7])), torch.Generator().manual_seed(0))
    thing = STRATEGIES["l1-channel-uniform"]
    small = thing.decide(thing.rank(given), Level("sparsity", 0.5), "params").apply(model).generator
    before, after = widths(model), widths(small)
    assert {name for name in before if after[name][0] == before[name][0]} == {"image"}
    assert small(*given.example_inputs).shape == (2, 3, 32, 32)


def test_a_cpu_can_run_it() -> None:
    inputs = BUILT_IN["cifar10-cgan"].inputs.sample(1, stream(0, "eval"))
    assert count_macs(CifarGenerator(), inputs).dense < 60e6
    assert count_macs(EXTRACTORS["cifar-net"]().module, (torch.zeros(1, 3, 32, 32),)).dense < 30e6


def test_d_says_another_thing_of_another_class() -> None:
    torch.manual_seed(0)
    judge, images = CifarDiscriminator((8, 12, 16, 16)).eval(), torch.randn(2, 3, 32, 32)
    one, other = (judge(images, torch.full((2,), label)) for label in (0, 1))
    assert one.shape == (2,) and not torch.allclose(one, other)


def test_without_images_the_reference_is_the_judges_statistics() -> None:
    data = cifar10()
    assert data.statistics is not None and data.fingerprint == statistics().fingerprint
    assert data.statistics.mean.shape == (64,) and data.statistics.covariance.shape == (64, 64)
    with pytest.raises(UserError, match="only statistics"):
        train_workload(BUILT_IN["cifar10-cgan"], Path("nowhere"))


def pictures(folder: Path, ending: str, classes: tuple[str, ...] = CLASSES) -> np.ndarray:
    """Three for each class under ``folder``; the array is ``(classes, 3, H, W, C)``."""
    values = np.random.default_rng(0).integers(0, 256, (len(classes), 3, 32, 32, 3), np.uint8)
    for name, images in zip(classes, values, strict=True):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{number:04d}.{ending}")
    return values


def test_picture_files_are_read_with_their_classes(tmp_path: Path) -> None:
    values = pictures(tmp_path / PICTURES, "png")
    data = cifar10()
    found = torch.cat([data.train, data.held_out]).permute(0, 2, 3, 1).numpy()
    labels = torch.cat([data.train_labels, data.held_out_labels]).tolist()
    assert data.name == "cifar10" and data.notes == ()
    assert {(label, image.tobytes()) for label, image in zip(labels, found, strict=True)} == {
        (label, image.tobytes()) for label, images in enumerate(values) for image in images
    }


def test_lossy_pictures_are_said_to_be_lossy(tmp_path: Path) -> None:
    pictures(tmp_path / PICTURES, "jpg")
    (note,) = cifar10().notes
    assert "lossy JPEG" in note and "30 images, 3 of each of ten classes" in note


def test_folders_of_other_classes_are_a_mistake(tmp_path: Path) -> None:
    pictures(tmp_path / PICTURES, "png", ("cat", "dog"))
    with pytest.raises(UserError, match=r"has the folders cat, dog; expected one for each class: airplane"):
        cifar10()


def test_a_card_says_what_the_notes_of_the_data_say(tmp_path: Path) -> None:
    pictures(tmp_path / PICTURES, "jpg")
    tiny = replace(
        BUILT_IN["cifar10-cgan"],
        generator=lambda: CifarGenerator((32, 24, 16, 8)),
        discriminator=lambda: CifarDiscriminator((8, 12, 16, 16)),
        recipe=replace(
            BUILT_IN["cifar10-cgan"].recipe, spec=replace(BUILT_IN["cifar10-cgan"].recipe.spec, batch_size=8)
        ),
        extractor=CLASSIFIER,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.tasks.generation.training._extractor", lambda workload, data: None)
        card = train_workload(tiny, tmp_path / "out", steps=2)
    assert "lossy JPEG" in card["data_note"]
    assert "| about the data | CIFAR-10" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_the_shipped_generator_has_the_quality_of_its_card() -> None:
    checkpoint = load_checkpoint(BUILT_IN["cifar10-cgan"])
    record = record_of(cell("dense", workload="cifar10-cgan"), Workshop(Settings(num_images=200)))
    score = record.numbers["is[cifar-net]"].value
    assert record.status == "ok" and score is not None
    assert score == pytest.approx(checkpoint.card["is"], rel=0.15)  # of 200 images instead of 5,000


def test_a_training_on_statistics_and_another_machines_initialisation_are_not_applicable() -> None:
    shop = Workshop(Settings(num_images=10, metrics=()))
    for thing in (
        cell("l1-channel-uniform", workload="cifar10-cgan", recovery="finetune-2"),
        cell("l1-weight-global+lottery-init", workload="cifar10-cgan", recovery="finetune-2"),
    ):
        assert record_of(thing, shop).status == "not-applicable"
