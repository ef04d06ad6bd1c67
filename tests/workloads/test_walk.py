"""Which files of a folder are read, and that nothing is left out unsaid."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.base.errors import UserError
from bench.workloads import room, walk
from bench.workloads.images import Folder, read_folder
from bench.workloads.walk import find_images
from tests.helpers.pictures import pictures, write_pictures

SHAPE = (3, 16, 16)


def read(folder: Path, limit: int | None = None) -> Folder:
    return read_folder(folder, SHAPE, resize=False, limit=limit, here="here")


def photos(home: Path, classes: str = "abc", count: int = 4) -> Path:
    for i, name in enumerate(classes):
        write_pictures(home / "photos" / name, pictures(count, seed=i), labelled=False)
    return home / "photos"


def moved_and_linked(folder: Path, store: Path) -> None:
    shutil.move(folder, store)
    folder.symlink_to(store)


def test_a_linked_folder_is_read_under_the_links_name(tmp_path: Path) -> None:
    folder = photos(tmp_path)
    before = read(folder)
    moved_and_linked(folder / "b", tmp_path / "store")
    after = read(folder)
    assert after.fingerprint == before.fingerprint
    assert after.classes == ("a", "b", "c")
    assert np.array_equal(after.labels, [0] * 4 + [1] * 4 + [2] * 4)
    assert after.notes == ()
    (tmp_path / "all").symlink_to(folder)
    assert read(tmp_path / "all").fingerprint == before.fingerprint


def test_linked_pictures_are_pictures(tmp_path: Path) -> None:
    folder = photos(tmp_path)
    before = read(folder)
    moved_and_linked(folder / "c" / "0001.png", tmp_path / "elsewhere.png")
    assert read(folder).fingerprint == before.fingerprint


def test_links_that_lead_back_end_and_are_named(tmp_path: Path) -> None:
    folder = photos(tmp_path)
    before = read(folder)
    (folder / "a" / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "again").symlink_to(folder / "b")
    found = read(folder)
    assert found.fingerprint == before.fingerprint
    assert found.classes == ("a", "b", "c")
    (note,) = found.notes
    assert "2 links to folders that are read already (a/up, again)" in note
    assert "1 broken link (self)" in note


def test_many_links_between_folders_are_followed_once_each(tmp_path: Path) -> None:
    """2^20 ways through 20 folders, each linked twice from the one before."""
    for i in range(20):
        write_pictures(tmp_path / "photos" / f"{i:02}", pictures(1, seed=i), labelled=False)
        for name in ("left", "right"):
            (tmp_path / "photos" / f"{i:02}" / name).symlink_to(tmp_path / "photos" / f"{(i + 1) % 20:02}")
    assert len(read(tmp_path / "photos").images) == 20


def test_what_is_left_out_is_named_with_its_count(tmp_path: Path) -> None:
    folder = photos(tmp_path)
    before = read(folder)
    write_pictures(folder / ".thumbnails", pictures(3), labelled=False)
    write_pictures(folder / "__MACOSX", pictures(3), labelled=False)
    (folder / "a" / "._0000.png").write_bytes(b"what macOS leaves beside a picture")
    for i in range(5):
        (folder / f"{i}.txt").write_text("words")
    (folder / "b" / "x.GIF").write_bytes(b"GIF89a")
    (folder / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "d").symlink_to(tmp_path / "another-disk")
    (folder / "e").mkdir()
    os.mkfifo(folder / "c" / "pipe.png")
    (folder / "c" / "zero.png").symlink_to("/dev/zero")
    found = read(folder)
    assert found.fingerprint == before.fingerprint
    assert found.classes == ("a", "b", "c")
    (note,) = found.notes
    assert note.startswith(f"{folder}: left out: ")
    for said in (
        "2 hidden folders (.thumbnails, __MACOSX)",
        "1 hidden file (a/._0000.png)",
        "6 files of other endings (.txt 5, .gif 1)",
        "2 broken links (b/gone.png, d)",
        "1 folder without images (e)",
        "2 pipes, devices or sockets (c/pipe.png, c/zero.png)",
    ):
        assert said in note


def test_what_cannot_be_printed_in_a_name_is_escaped(tmp_path: Path) -> None:
    folder = photos(tmp_path)
    (folder / "a\x1b[31m\n.txt").write_text("x")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).symlink_to("nowhere")
    (note,) = read(folder).notes
    assert "1 broken link (\\udcff.png)" in note
    assert note.isprintable()


def test_names_that_are_no_text_are_read_and_chosen_from(tmp_path: Path) -> None:
    folder = photos(tmp_path)
    shutil.move(folder / "a" / "0000.png", os.fsencode(folder / "a") + b"/\xff\xfe.png")
    assert len(read(folder).images) == 12
    assert len(read(folder, limit=5).images) == 5


def test_a_picture_beside_the_classes_is_named(tmp_path: Path) -> None:
    folder = photos(tmp_path)
    write_pictures(folder, pictures(1, seed=9), labelled=False)
    found = read(folder)
    assert found.classes == ()
    assert found.notes == (f"{folder}: 1 image lies beside the 3 subfolders (0000.png), which are no classes then",)


def test_a_limit_leaves_labels_as_they_are(tmp_path: Path) -> None:
    """So few that not every class is among them: those that are keep their numbers."""
    folder = photos(tmp_path, "abcdefgh", count=2)
    every = read(folder)
    few = read(folder, limit=4)
    assert few.classes == every.classes == tuple("abcdefgh")
    label_of = {image.tobytes(): int(label) for image, label in zip(every.images, every.labels, strict=True)}
    assert [label_of[image.tobytes()] for image in few.images] == few.labels.tolist()


def test_what_is_no_folder_is_called_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for name, message in [
        ("pipe", "pipe is a pipe; expected a folder"),
        ("file", "file is a file; expected a folder"),
        ("gone", r"no folder .*gone \(No such file"),
        ("x\0y", r"no folder .*x\\x00y"),
        ("x" * 300, r"no folder .*\(File name too long\)"),
    ]:
        with pytest.raises(UserError, match=message):
            find_images(tmp_path / name, "here")
    with pytest.raises(UserError, match="is a device; expected a folder"):
        find_images(Path("/dev/zero"), "here")


def test_a_folder_without_images_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(UserError, match=r"no images in .*left out: 1 file of another ending \(\.txt 1\)"):
        find_images(tmp_path, "here")


def test_a_whole_disk_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_ENTRIES", 10)
    with pytest.raises(UserError, match="more than 10 files in"):
        find_images(photos(tmp_path), "here")


def test_more_than_memory_holds_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "memory", lambda: 2 * 12 * 3 * 16 * 16 - 1)
    with pytest.raises(UserError, match=r"12 x 3 x 16 x 16 values need .* GB of memory.*limit"):
        read(photos(tmp_path))
    assert len(read(photos(tmp_path), limit=11).images) == 11
