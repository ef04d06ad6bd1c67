"""Finishes: fewer bits, known by hand; as near to float32 as the steps allow; copied, written and read again."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

import bench
from bench.artifact.finished import FinishedFiles, write_finished
from bench.artifact.finishes import FINISH
from bench.artifact.finishes.base import products
from bench.artifact.finishes.bfloat import FILE as HALF
from bench.artifact.folder import load_artifact, save_artifact
from bench.base.errors import UserError
from bench.base.seeds import stream
from bench.records.finishes import FINISHES, TIMED_AS, after_pruning, finish_in, without_finish
from bench.sweep.cell import make
from bench.sweep.workshop import Workshop
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from tests.helpers.cells import cell

ONNX = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
OPENVINO = [name for name in ("openvino", "nncf") if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(ONNX), reason=f"not installed: {ONNX}")
needs_both = pytest.mark.skipif(bool(ONNX + OPENVINO), reason=f"not installed: {ONNX + OPENVINO}")


class Linear(nn.Module):
    """``W x + b``, the last ``x`` the greatest."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            self.layer.weight.copy_(weight)
            self.layer.bias.copy_(bias)

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.layer(z)
        return made


def linear() -> Linear:
    rng = torch.Generator().manual_seed(0)
    return Linear(torch.randn(6, 16, generator=rng), torch.randn(6, generator=rng)).eval()


# Names


def test_a_finish_and_its_recovery_are_one_word_that_can_be_taken_apart() -> None:
    assert after_pruning("finetune-200", "none") == "finetune-200"
    word = after_pruning("finetune-200-distil.output", "int8-onnx")
    assert (without_finish(word), finish_in(word)) == ("finetune-200-distil.output", "int8-onnx")
    assert (without_finish("none"), finish_in("none")) == ("none", "none")
    assert list(FINISHES) == ["none", *FINISH] == ["none", *TIMED_AS]


# bf16, by hand


def test_bfloat16_keeps_8_bits_of_mantissa_and_rounds_to_even() -> None:
    weight = torch.tensor([[1 + 2**-7, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-9]])
    half = FINISH["bf16"].make(Linear(weight, torch.zeros(1)), ())
    stored = load(half.files[HALF])["layer.weight"]
    assert stored.dtype == torch.bfloat16
    assert stored.float().tolist() == [[1 + 2**-7, 1.0, 1 + 2**-6, 1.0]]


def test_bfloat16_takes_half_of_the_bytes_and_gives_float32() -> None:
    network = linear()
    half = FINISH["bf16"].make(network, ())
    z = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    made = half(z)
    assert made.dtype == torch.float32
    rounded = copy.deepcopy(network).bfloat16()(z.bfloat16()).float()
    assert torch.equal(made, rounded)
    entries = sum(x.numel() for x in network.state_dict().values())
    assert 2 * entries < half.size < 2 * entries + 300  # a header
    assert network.layer.weight.dtype == torch.float32, "the network that was given is left alone"


# int8, by hand


@needs_onnx
def test_a_quantised_linear_layer_is_off_by_no_more_than_its_steps_allow() -> None:
    """Rounding moves a value by half a step at most: of a weight ``max |W_i| / 64`` by row, of an input the range that
    calibration saw / 255, and the same of the output."""
    network = linear()
    z = torch.randn(256, 16, generator=torch.Generator().manual_seed(1))
    quantised = FINISH["int8-onnx"].make(network, (z,))
    with torch.inference_mode():
        exact, found = network(z), quantised(z)
    w_step = network.layer.weight.detach().abs().amax(1) / 64
    z_step = float(z.max() - z.min()) / 255
    y_step = float(exact.max() - exact.min()) / 255
    size = z.abs().sum(1, keepdim=True)
    by_weights = size * w_step / 2
    by_inputs = network.layer.weight.detach().abs().sum(1) * z_step / 2
    allowed = by_weights + by_inputs + y_step + 16 * w_step * z_step
    assert (found - exact).abs().le(allowed).all()
    assert (found - exact).abs().max() > 0
    assert quantised.flags == ["int8-products:1-of-1"]


@needs_both
@pytest.mark.slow
@pytest.mark.parametrize(("finish", "most"), [("bf16", 0.006), ("int8-onnx", 0.05), ("int8-openvino", 0.09)])
def test_a_finished_dcgan_is_near_the_one_in_float32(finish: str, most: float) -> None:
    """Root mean square over pixels in [-1, 1]; 0.004, 0.036 and 0.062 were measured."""
    workload = BUILT_IN["mnist-dcgan"]
    network = load_checkpoint(workload, "shipped").generator.eval()
    finished = FINISH[finish].make(network, workload.inputs.sample(256, stream(0, "calibrate")))
    z = workload.inputs.sample(32, stream(0, "eval"))
    with torch.inference_mode():
        assert float((finished(*z) - network(*z)).pow(2).mean().sqrt()) < most


# What is known of one


def test_flags_say_what_runs_in_8_bits_and_what_does_not() -> None:
    assert products({"a": "int8", "b": "int8"}) == ["int8-products:2-of-2"]
    found = products({"a": "int8", "b": "ConvTranspose", "c": "ConvTranspose"})
    assert found == ["int8-products:1-of-3", "float-product:ConvTranspose"]


def test_a_missing_package_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    finish = FINISH["int8-openvino"]
    assert finish.missing == "openvino, nncf, onnx, onnxscript not installed: pip install 'ganprune[openvino]'"
    assert FINISH["bf16"].missing == ""
    with pytest.raises(UserError, match=r"finish 'int8-onnx': onnxruntime, .* pip install 'ganprune\[onnx\]'"):
        Workshop(_settings()).resolve(cell().model_copy(update={"finish": "int8-onnx"}))


def _settings():  # type: ignore[no-untyped-def]
    from bench.sweep.settings import Settings

    return Settings(num_images=2, metrics=())


def test_a_version_names_the_method_and_the_libraries() -> None:
    assert FINISH["bf16"].version == "bf16-1"
    assert FINISH["int8-onnx"].version.startswith("int8-onnx-1, onnxruntime ")


# Copies, and files


@needs_onnx
def test_a_copy_and_a_fixed_batch_make_the_same() -> None:
    z = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    finished = FINISH["int8-onnx"].make(linear(), (z,))
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(finished)(z), finished(z))
        (found,) = finished.ready((z[:4],))()  # type: ignore[misc]
    assert torch.equal(torch.as_tensor(found), finished(z[:4]))


@needs_onnx
def test_an_artefact_gives_the_finished_network_as_it_was_judged(tmp_path: Path, shop: Workshop) -> None:
    recovered = make(shop.resolve(cell("l1-channel-global")), shop).recovered
    z = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    finish = FINISH["int8-onnx"]
    finished = finish.make(recovered.generator, (z,))
    files = FinishedFiles(finish.name, finish.version, finished.files)
    save_artifact(tmp_path, recovered, workload="dummy", made_by={}, provenance={}, finished=files)
    loaded = bench.load(tmp_path)
    with torch.inference_mode():
        assert torch.equal(loaded(z), finished(z))
        torch.testing.assert_close(load_artifact(tmp_path)(z), recovered.generator(z), rtol=0, atol=1e-6)
    note = json.loads((tmp_path / "manifest.json").read_text())["finish"]
    content = (tmp_path / "generator.int8.onnx").read_bytes()
    assert note["files"] == {"generator.int8.onnx": hashlib.sha256(content).hexdigest()}
    assert "shipped as int8-onnx" in (tmp_path / "MODEL_CARD.md").read_text()
    (tmp_path / "generator.int8.onnx").write_bytes(content[:-1])
    with pytest.raises(UserError, match="is not the file that"):
        bench.load(tmp_path)


def test_a_finish_that_is_not_known_is_refused(tmp_path: Path, shop: Workshop) -> None:
    recovered = make(shop.resolve(cell()), shop).recovered
    save_artifact(tmp_path, recovered, workload="dummy", made_by={}, provenance={})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert "finish" not in manifest
    manifest["finish"] = {"name": "int4", "files": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="'int4' is not known here; known: bf16, int8-onnx, int8-openvino"):
        bench.load(tmp_path)


def test_files_are_written_with_their_hashes(tmp_path: Path) -> None:
    note = write_finished(tmp_path, FinishedFiles("bf16", "bf16-1", {"a": b"content"}))
    assert (tmp_path / "a").read_bytes() == b"content"
    assert note == {
        "name": "bf16",
        "version": "bf16-1",
        "files": {"a": hashlib.sha256(b"content").hexdigest()},
    }
