"""`ganprune export`: the ONNX file computes what the saved generator computes, or is not written."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bench.artifact.onnx
from bench.artifact.folder import example_inputs, load_artifact, save_artifact
from bench.artifact.onnx import export_artifact, factory_named, onnx_bytes, session
from bench.base.errors import UserError
from bench.sweep.cell import make
from bench.sweep.workshop import Workshop
from tests.helpers.cells import cell

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@pytest.fixture
def pruned(artefact: Path, shop: Workshop) -> Path:
    made = make(shop.resolve(cell("l1-channel-global")), shop).recovered
    save_artifact(artefact, made, workload="dummy", made_by={}, provenance={}, inputs=(torch.zeros(1, 8),))
    return artefact


@pytest.fixture
def onnx_installed() -> None:
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"export needs {package}, the extra 'onnx'")


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_installed")
def test_the_file_computes_what_the_generator_computes_at_any_batch_size(pruned: Path, tmp_path: Path) -> None:
    found = export_artifact(pruned, tmp_path / "g.onnx")
    assert found.error is not None and found.error < 1e-4
    assert found.size == found.path.stat().st_size
    runner = session(found.path.read_bytes())
    (given,) = runner.get_inputs()
    assert given.name == "z" and given.shape[1:] == [8] and not isinstance(given.shape[0], int)
    z = torch.randn(5, 8)
    with torch.no_grad():
        expected = load_artifact(pruned)(z)
    torch.testing.assert_close(torch.from_numpy(runner.run(None, {"z": z.numpy()})[0]), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_installed")
def test_a_batch_size_can_be_fixed(pruned: Path, tmp_path: Path) -> None:
    path = export_artifact(pruned, tmp_path / "g.onnx", batch=4).path
    assert session(path.read_bytes()).get_inputs()[0].shape == [4, 8]


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_installed")
def test_an_export_that_computes_something_else_is_not_written(
    pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z[:, :1, None, None].expand(-1, 1, 8, 8) * 2

    true = onnx_bytes
    monkeypatch.setattr(bench.artifact.onnx, "onnx_bytes", lambda module, *rest, **more: true(Other(), *rest, **more))
    with pytest.raises(UserError, match=r"ONNX Runtime computes something else: .* Nothing was written"):
        export_artifact(pruned, tmp_path / "g.onnx")
    assert not (tmp_path / "g.onnx").exists()


class Branching(nn.Module):
    """Whether it goes one way or the other depends on what it is fed."""

    def forward(self, z: Tensor) -> Tensor:
        return z * 2 if z.sum() > 0 else z


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_installed")
def test_a_network_that_cannot_be_exported_is_one_sentence(
    pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.artifact.onnx, "load_artifact", lambda *_: Branching())
    with pytest.raises(UserError, match="cannot be exported") as caught:
        export_artifact(pruned, tmp_path / "g.onnx")
    assert "\n" not in str(caught.value)


def test_missing_packages_are_named_with_the_extra(
    pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else find(name))
    with pytest.raises(UserError, match=r"export needs onnx and onnxscript: pip install 'ganprune\[onnx\]'"):
        export_artifact(pruned, tmp_path / "g.onnx")


def test_example_inputs_follow_the_manifest_and_repeat(pruned: Path) -> None:
    (first,), (second,) = example_inputs(pruned, 3), example_inputs(pruned, 3)
    assert first.shape == (3, 8) and torch.equal(first, second)


def describe(folder: Path, inputs: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["inputs"] = inputs
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_class_labels_are_zeros_which_every_embedding_has(pruned: Path) -> None:
    describe(pruned, [{"shape": [8], "dtype": "float32"}, {"shape": [], "dtype": "int64"}])
    noise, labels = example_inputs(pruned, 2)
    assert noise.shape == (2, 8) and labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    "inputs",
    [
        [{"shape": [10**12], "dtype": "float32"}],
        [{"shape": [4096, 4096, 4096], "dtype": "float32"}],
        [{"shape": [-1], "dtype": "float32"}],
        [{"shape": [True], "dtype": "float32"}],
        [{"shape": ["8"], "dtype": "float32"}],
        [{"shape": [1] * 9, "dtype": "float32"}],
        [{"shape": [8], "dtype": "os.system"}],
        [{"shape": 8, "dtype": "float32"}],
        [{"dtype": "float32"}],
        [8],
        {"shape": [8]},
        8,
        "z",
        [],
        None,
    ],
    ids=str,
)
def test_hostile_shapes_are_refused_with_their_place(pruned: Path, inputs: Any) -> None:
    describe(pruned, inputs)
    with pytest.raises(UserError, match=r"manifest\.json"):
        example_inputs(pruned, 2)


@pytest.mark.parametrize("name", ["no.such.module:make", "torch", "torch:no_such", ":", "torch:__version__"])
def test_a_factory_that_is_none_is_one_sentence(name: str) -> None:
    with pytest.raises(UserError, match=r"^--factory "):
        factory_named(name)


def test_a_factory_of_ones_own_is_found() -> None:
    from bench.workloads.networks import DummyGenerator

    assert factory_named("bench.workloads.networks:DummyGenerator") is DummyGenerator
