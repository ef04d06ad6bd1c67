"""Files from outside: regular ones of a known size, and JSON that can be computed with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.base.errors import UserError
from bench.base.outside import (
    DEEPEST,
    MIB,
    Damaged,
    Unreadable,
    check_regular,
    read_bytes,
    read_json,
    read_table,
    read_text,
    size_of,
    there,
)


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbf{}\r\n")
    assert read_bytes(path, 100) == b"\xef\xbb\xbf{}\r\n"
    assert read_text(path) == "{}\n"
    assert read_json(path) == {}


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(Unreadable, match="a fifo, not a file") as caught:
        read_bytes(tmp_path / "x", 100)
    assert caught.value.mendable


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/full", "/dev/null"])
def test_a_device_is_not_opened_also_through_a_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "x").symlink_to(target)
    with pytest.raises(Unreadable, match="a device, not a file"):
        check_regular(tmp_path / "x")


def test_a_folder_is_no_file_and_nobody_writes_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="a folder, not a file") as caught:
        read_bytes(tmp_path, 100)
    assert not caught.value.mendable


def test_a_file_of_terabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(Unreadable, match="4,096 GiB, at most 1 MiB are read"):
        read_bytes(tmp_path / "x", MIB)


def test_a_file_that_does_not_say_its_size_is_read_to_its_end() -> None:
    assert b"processor" in read_bytes("/proc/cpuinfo", 10 * MIB)
    with pytest.raises(Unreadable, match="more than 10 bytes"):
        read_bytes("/proc/cpuinfo", 10)


def test_links_to_nowhere_and_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert not there(tmp_path / "gone")
    assert there(tmp_path / "round")
    for name in ("gone", "round"):
        with pytest.raises(Unreadable, match="cannot be read"):
            read_bytes(tmp_path / name, 100)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_what_is_no_path_is_a_sentence(name: str) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        read_bytes(name, 100)


NO_JSON = {
    "cut": b"{",
    "empty": b"",
    "deep": b"[" * 100_000,
    "deep but whole": b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2),
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "70 bits": b"1180591620717411303424",
    "NaN": b"[NaN]",
    "beyond floats": b"[1e999]",
    "half a character": b'"\\ud800"',
    "half a character in a key": b'{"\\ud800": 1}',
    "not UTF-8": b'"\xff"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
}


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_what_cannot_be_computed_with_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(Damaged, match=r"x\.json: damaged, not (JSON|text)") as caught:
        read_json(tmp_path / "x.json")
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_the_largest_seed_and_the_deepest_table_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[" * DEEPEST + str(2**63 - 1) + "]" * DEEPEST)
    assert str(read_json(tmp_path / "x.json")).strip("[]") == str(2**63 - 1)


def test_a_list_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(UserError, match="damaged, not a table"):
        read_table(tmp_path / "x.json")


@pytest.mark.parametrize(("size", "words"), [(5, "5 bytes"), (2048, "2 KiB"), (3 * 2**29, "1.5 GiB")])
def test_sizes_are_said_as_people_say_them(size: int, words: str) -> None:
    assert size_of(size) == words
