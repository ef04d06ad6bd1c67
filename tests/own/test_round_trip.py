"""A user's generator there and back: pruned to a folder, loaded by the user's program, exported."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import bench
from bench.artifact.folder import example_inputs
from bench.artifact.onnx import export_artifact, factory_in, factory_named, session
from bench.base.errors import UserError
from bench.experiments import load_workloads
from bench.sweep.prune import prune_to_folder
from bench.workloads.builtin import BUILT_IN
from bench.workloads.spec import WorkloadSpec
from strategies.layers import tensors_of
from tests.own import gans
from tests.own.conftest import NOISE, Describe

GUIDE: dict[str, tuple[Any, dict[str, Any]]] = {
    "a DCGAN with arguments": (gans.Dcgan, {"factory": "gans.py:Dcgan", "arguments": {"width": 12}}),
    "a conditional one that returns a dict": (
        gans.Conditional,
        {
            "factory": "gans.py:Conditional",
            "arguments": {"form": "one-hot"},
            "inputs": [
                NOISE | {"kind": "truncated", "bound": 2.0},
                {"kind": "labels", "classes": 4, "form": "one-hot"},
            ],
            "output": {"pick": "image"},
        },
    ),
    "an image-to-image U-Net in [0, 1]": (
        gans.UNet,
        {
            "factory": "gans.py:UNet",
            "inputs": [{"kind": "images", "source": "photos", "shape": [1, 16, 24]}],
            "output": {"range": [0, 1]},
            "reference": {"source": "photos", "resize": True},
        },
    ),
}
"""The habits of the guide's three examples."""


def pruned(spec: WorkloadSpec, folder: Path, strategy: str = "l1-channel-uniform") -> torch.nn.Module:
    made = prune_to_folder(
        folder,
        workload="mine",
        checkpoint="shipped",
        strategy=strategy,
        sparsity=0.4,
        level=None,
        target="params",
        recovery="bn-recalibrate",
        seed=0,
        device="cpu",
        catalogue=BUILT_IN.with_own([spec]),
    )
    return made.recovered.generator


def raw(network: torch.nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """What the user's ``forward`` returns, without what the benchmark makes of it."""
    with torch.inference_mode():
        return tensors_of(network.forward(*inputs))


@pytest.mark.parametrize(("factory", "said"), GUIDE.values(), ids=list(GUIDE))
def test_what_was_pruned_is_loaded_as_it_was(
    describe: Describe, artefact: Path, factory: Any, said: dict[str, Any]
) -> None:
    before = pruned(describe(**said), artefact)
    after = bench.load(artefact, factory)
    states = before.state_dict(), after.state_dict()
    assert list(states[0]) == list(states[1]) and all(torch.equal(x, states[1][name]) for name, x in states[0].items())
    inputs = example_inputs(artefact, 3)
    for mine, theirs in zip(raw(before, inputs), raw(after, inputs), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=0, atol=1e-6)  # kernels differ with the layout of the weights
    assert sum(p.numel() for p in after.parameters()) < sum(
        p.numel() for p in factory(**said.get("arguments", {})).parameters()
    )
    card = (artefact / "MODEL_CARD.md").read_text()
    assert "--workload-file FILE" in card and f'ganprune.load("this/folder", {factory.__name__})' in card


@pytest.mark.slow
def loaded(file: Path, spec: WorkloadSpec) -> tuple[WorkloadSpec, ...]:
    """The tables of a file whose code lies elsewhere."""
    return load_workloads(file, trust=[str(Path(spec.folder) / "gans.py")])[0]


@pytest.mark.parametrize("said", [said for _, said in GUIDE.values()], ids=list(GUIDE))
def test_what_was_pruned_is_exported_from_the_table_of_its_workload(
    describe: Describe, artefact: Path, tmp_path: Path, said: dict[str, Any]
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"export needs {package}, the extra 'onnx'")
    spec = describe(**said)
    before = pruned(spec, artefact)
    file = tmp_path / "mine.toml"
    file.write_text(toml(spec))
    exported = export_artifact(artefact, tmp_path / "g.onnx", factory=factory_in(loaded(file, spec), artefact))
    assert exported.error is not None and exported.error < 1e-4
    assert all("batch" in words or "s" in words for words in exported.takes)
    inputs = example_inputs(artefact, 5)
    runner = session(exported.path.read_bytes())
    given = {x.name: y.numpy() for x, y in zip(runner.get_inputs(), inputs, strict=True)}
    for mine, theirs in zip(raw(before, inputs), runner.run(None, given), strict=True):
        torch.testing.assert_close(torch.from_numpy(theirs), mine, rtol=0, atol=1e-4)


def toml(spec: WorkloadSpec) -> str:
    """The table as a user writes it: a JSON value with = for : is an inline table of TOML."""

    def value(thing: Any) -> str:
        if isinstance(thing, dict):
            return "{" + ", ".join(f"{key} = {value(item)}" for key, item in thing.items()) + "}"
        if isinstance(thing, list):
            return "[" + ", ".join(map(value, thing)) + "]"
        return json.dumps(thing)

    table = spec.model_dump(mode="json", exclude_unset=True)
    return "[[workload]]\n" + "".join(f"{key} = {value(item)}\n" for key, item in table.items())


def test_a_factory_is_called_with_the_arguments_of_the_manifest_where_it_takes_them(
    describe: Describe, artefact: Path
) -> None:
    pruned(describe(arguments={"width": 12}), artefact)
    one = bench.load(artefact, gans.Dcgan)
    other = bench.load(artefact, lambda: gans.Dcgan(width=12))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_factory_that_fails_is_one_message(describe: Describe, artefact: Path) -> None:
    pruned(describe(), artefact)

    def needy(width: int, height: int) -> torch.nn.Module:
        raise AssertionError

    with pytest.raises(UserError, match=r"factory .*needy', called without arguments: fails: TypeError"):
        bench.load(artefact, needy)
    with pytest.raises(UserError, match=r"returned int, expected a torch\.nn\.Module"):
        bench.load(artefact, lambda: 3)  # type: ignore[arg-type,return-value]


def test_a_file_s_function_is_a_factory_too(folder: Path) -> None:
    assert factory_named(f"{folder}/gans.py:Dcgan").__name__ == "Dcgan"
    with pytest.raises(UserError, match=r"--factory .*nowhere\.py:G: no file"):
        factory_named("nowhere.py:G")


def test_a_file_without_the_artefact_s_workload_is_one_message(
    describe: Describe, artefact: Path, tmp_path: Path
) -> None:
    spec = describe()
    pruned(spec, artefact)
    file = tmp_path / "other.toml"
    file.write_text(toml(spec.model_copy(update={"name": "other"})))
    with pytest.raises(UserError, match=r"has no \[\[workload\]\] named 'mine'.* It has 'other'"):
        factory_in(loaded(file, spec), artefact)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("onnxruntime"), reason="export is compared with ONNX Runtime")
def test_a_graph_for_some_batches_only_is_one_message_and_can_be_fixed(
    describe: Describe, artefact: Path, tmp_path: Path
) -> None:
    pruned(
        describe(factory="gans.py:Squeezing", inputs=[{"kind": "normal", "shape": [12]}]), artefact, "l1-weight-global"
    )
    with pytest.raises(UserError, match=r"with a batch of 1.*squeeze\(dim\).*--batch N") as caught:
        export_artifact(artefact, tmp_path / "g.onnx", factory=gans.Squeezing)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    assert not (tmp_path / "g.onnx").exists()
    assert export_artifact(artefact, tmp_path / "g.onnx", factory=gans.Squeezing, batch=4).error is not None
