"""Weights from elsewhere that are no file, unpack without end, or name themselves: refused in a sentence."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.base.errors import UserError
from bench.workloads import torchfiles
from bench.workloads.reading import entries, load_checkpoint_file, read_file
from bench.workloads.spec import CheckpointSpec
from bench.workloads.store import read_weights


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "nowhere", "terabytes"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "terabytes":
        with path.open("wb") as file:
            file.truncate(2**42)
    else:
        path.symlink_to("/dev/zero" if kind == "zero" else tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"here: .*weights"):
        read_file(path, "here")
    with pytest.raises(UserError, match="weights"):
        read_weights(path)


HEADERS = {
    "longer than the file": struct.pack("<Q", 2**40) + b"{}",
    "nested without end": b'{"a":' * 5000,
    "a shape of 2^120": json.dumps({"a": {"dtype": "F32", "shape": [2**60, 2**60], "data_offsets": [0, 4]}}).encode(),
    "a type that is none": json.dumps({"a": {"dtype": "F5", "shape": [1], "data_offsets": [0, 4]}}).encode(),
    "a type that PyTorch has not": json.dumps({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}).encode(),
    "offsets backwards": json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}).encode(),
    "no text": b"\xff\xfe" * 20,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_an_absurd_header_is_a_damaged_file(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((b"" if header[:1] == b"\0" else struct.pack("<Q", len(header))) + header + b"\0" * 8)
    with pytest.raises(UserError, match="damaged") as caught:
        read_file(path, "here")
    assert len(str(caught.value)) < 1000
    with pytest.raises(UserError, match="damaged"):
        read_weights(path)


def test_an_archive_that_unpacks_without_end_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchfiles, "WEIGHTS", 2**20)
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\0" * 2**22)
    with pytest.raises(UserError, match="it unpacks to 4 MiB, at most 1 MiB"):
        read_file(path, "here")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02\x8d" + struct.pack("<Q", 2**62) + b"x.",  # a text of exabytes
        b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
        b"\x80\x02K",
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02}" + b"q\x00h\x00" * 10 + b"h\x63.",
    ],
)
def test_pickles_that_are_cut_or_hostile_are_damaged_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"here: .*x\.pt"):
        read_file(tmp_path / "x.pt", "here")


def test_tables_that_name_themselves_come_to_an_end() -> None:
    inner: dict[str, object] = {}
    for _ in range(5):
        inner = dict.fromkeys(map(str, range(1000)), inner)
    assert entries(inner) == {}
    around: dict[str, object] = {"w": torch.zeros(1), "x": 3}
    around["self"] = around
    assert entries({"a": around, "b": {"w": torch.zeros(2)}})["b"]["w"].shape == (2,)


def test_sparse_and_quantised_tensors_are_no_weights(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    state = {"weight": torch.eye(2).to_sparse(), "bias": torch.zeros(2)}
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(UserError, match="here"):
        load_checkpoint_file(network, CheckpointSpec(file="x.pt"), tmp_path / "x.pt", "here")


def test_a_pickle_of_code_stays_unopened(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "touched"),)

    file = io.BytesIO()
    pickle.dump(Touch(), file)
    (tmp_path / "x.pt").write_bytes(file.getvalue())
    with pytest.raises(UserError):
        read_file(tmp_path / "x.pt", "here")
    assert not (tmp_path / "touched").exists()
