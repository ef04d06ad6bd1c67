"""An .npz from outside: its headers are believed in nothing, and no object is ever made of it."""

from __future__ import annotations

import io
import os
import pickle
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import UserError
from bench.workloads import archives
from bench.workloads.archives import Archive

NUMBERS = np.arange(24, dtype=np.int32).reshape(2, 3, 4)


def npy(array: np.ndarray, **said: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **said)
    return buffer.getvalue()


def header(descr: str, shape: str, version: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


def archive(folder: Path, **members: bytes) -> Path:
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def read(path: Path) -> dict[str, np.ndarray]:
    found = Archive(path, "here")
    return {name: found.read(name) for name in found.headers}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path: Path, save: Any) -> None:
    arrays = {
        "a": NUMBERS, "fortran": np.asfortranarray(NUMBERS), "big": NUMBERS.astype(">i4"), "one": np.float32(3),
        "none": np.zeros((0, 4)), "text": np.array(["x", "yz"]),
    }  # fmt: skip
    save(tmp_path / "a.npz", **arrays)
    found = read(tmp_path / "a.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert np.array_equal(found[name], array), name
        assert found[name].dtype == np.asarray(array).dtype
    with np.load(tmp_path / "a.npz") as same:
        assert set(same.files) == set(found)


def test_the_first_rows_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=NUMBERS, f=np.asfortranarray(NUMBERS))
    found = Archive(tmp_path / "a.npz", "here")
    assert np.array_equal(found.read("a", 1), NUMBERS[:1])
    assert np.array_equal(found.read("a", 9), NUMBERS)
    assert np.array_equal(found.read("f", 1), NUMBERS)  # whose rows lie scattered


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def test_objects_are_named_and_never_made(tmp_path: Path) -> None:
    path = archive(tmp_path, a=npy(np.array([Bomb()], dtype=object), allow_pickle=True), b=npy(NUMBERS))
    found = Archive(path, "here")
    assert "a: Python objects (1,)" in str(found)
    with pytest.raises(UserError, match=r"array 'a': Python objects, which are never read"):
        found.read("a")
    assert np.array_equal(found.read("b"), NUMBERS)
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match=r"cannot be read as an \.npz"):
        read(tmp_path / "p.npz")


def test_a_claim_of_more_than_is_there_costs_nothing(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for shape in ("(1000000, 1000000)", f"({10**30},)", "(-5, 3)", f"({2**31}, {2**31})"):
        with pytest.raises(UserError, match=r"array 'a': .*(is what its header says, and 4 are there|a shape of)"):
            read(archive(tmp_path, a=header("'|u1'", shape) + b"abcd"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_zeros_without_end_are_refused_by_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workloads.room.memory", lambda: 10**6)
    path = archive(tmp_path, a=npy(np.zeros((2_000, 500, 1, 1), np.uint8)))
    assert path.stat().st_size < 10_000
    found = Archive(path, "here")
    with pytest.raises(UserError, match=r"array 'a': 1,000,000 x 1 values need .* GB of memory"):
        found.read("a")
    assert found.read("a", 3).shape == (3, 500, 1, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"cannot be read as an \.npz of arrays"),
        (b"PK\x03\x04", r"cannot be read as an \.npz of arrays"),
        (b"garbage" * 1000, r"cannot be read as an \.npz of arrays"),
        (npy(NUMBERS), r"a single array \(\.npy\).*np\.savez"),
    ],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        npy(NUMBERS)[:40],
        npy(NUMBERS)[:-1],
        npy(NUMBERS) + b"x",
        header("'|u1'", "(4,)", version=3) + b"abcd",
        header("'nonsense'", "(4,)") + b"abcd",
        header("'|u1'", "'four'") + b"abcd",
        header("'|u1'", "(" * 5_000) + b"abcd",
        header("__import__('os').abort()", "(4,)") + b"abcd",
        header("'|V0'", f"({10**12},)"),
    ],
)
def test_members_that_are_no_arrays(tmp_path: Path, content: bytes) -> None:
    path = archive(tmp_path, a=content)
    try:
        found = Archive(path, "here")
        assert found.headers["a"].dtype.kind == "V"
    except UserError as error:
        assert str(error).startswith(f"here: {path}")


def test_every_truncation_is_a_message(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", mu=np.zeros(3), sigma=np.eye(3))
    whole = (tmp_path / "whole.npz").read_bytes()
    for end in range(0, len(whole), 7):
        (tmp_path / "a.npz").write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"a\.npz"):
            read(tmp_path / "a.npz")


def test_a_changed_value_is_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[5_000] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"array 'a' cannot be read .*CRC"):
        read(tmp_path / "a.npz")


def test_pipes_folders_and_what_is_not_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    for name, message in [
        ("pipe", "is a pipe; expected an .npz"),
        ("folder", "is a folder; expected an .npz"),
        ("zero", "is a device; expected an .npz"),
        ("nowhere", "there is no such file"),
    ]:
        with pytest.raises(UserError, match=message):
            Archive(tmp_path / f"{name}.npz", "here")


def test_other_members_and_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, a=npy(NUMBERS))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("README", "words")
    assert list(read(path)) == ["a"]
    monkeypatch.setattr(archives, "MOST_ARRAYS", 1)
    with pytest.raises(UserError, match="2 arrays; at most 1"):
        read(path)
