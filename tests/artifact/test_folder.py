"""A pruned generator on disk: comes back bit by bit, and nothing in the folder is ever executed."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import bench
from bench.artifact.folder import load_artifact, read_artifact, save_artifact
from bench.base.errors import UserError
from bench.cli import main
from bench.records import Cell, Number
from bench.sweep.cell import make
from bench.sweep.workshop import Workshop
from bench.training.recovery import Recovered
from bench.workloads.networks import DummyGenerator
from bench.workloads.store import load_into, read_weights, state_hash, write_weights
from strategies.base import Pruned
from strategies.keeping import put_on_levels, share
from strategies.slicing import bypass
from tests.helpers.cells import cell

KINDS = {
    "quantised": cell("l1-quantised-4", 0.5),
    "masked": cell("l1-weight-global", 0.7),
    "compact": cell("l1-channel-global"),
    "trained": cell("l1-channel-uniform", recovery="finetune-3"),
}

Change = Callable[[dict[str, Any]], Any]


def save(kind: str, folder: Path, shop: Workshop) -> Recovered:
    recovered = make(shop.resolve(KINDS[kind]), shop).recovered
    save_artifact(folder, recovered, workload="dummy", made_by={}, provenance={})
    return recovered


@pytest.fixture
def compact(artefact: Path, shop: Workshop) -> Path:
    """The folder of a channel-pruned generator."""
    save("compact", artefact, shop)
    return artefact


def tamper(folder: Path, change: Change) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


# Round trip


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_comes_back_bit_by_bit(kind: str, artefact: Path, shop: Workshop) -> None:
    saved = save(kind, artefact, shop).generator
    loaded = load_artifact(artefact)
    assert state_hash(loaded.state_dict()) == state_hash(saved.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_the_loaded_generator_draws_the_same_images(kind: str, artefact: Path, shop: Workshop) -> None:
    saved = save(kind, artefact, shop).generator
    z = torch.randn(5, 8)
    with torch.no_grad():
        torch.testing.assert_close(load_artifact(artefact)(z), saved(z), rtol=0, atol=1e-6)


def test_the_loaded_generator_is_a_plain_module_of_the_smaller_size(compact: Path) -> None:
    loaded = load_artifact(compact)
    assert type(loaded) is DummyGenerator and not loaded.training
    first = loaded.net[0]
    assert isinstance(first, nn.ConvTranspose2d)
    assert first.out_channels == first.weight.shape[1] < 12


def test_masks_stand_beside_the_zeros(artefact: Path, shop: Workshop) -> None:
    save("masked", artefact, shop)
    masks, weights = (read_weights(artefact / f"{name}.safetensors") for name in ("masks", "generator"))
    assert set(masks) == {"net.0", "net.3", "net.6"}
    for name, mask in masks.items():
        assert torch.equal(weights[f"{name}.weight"] != 0, mask)


def test_a_generator_of_ones_own_loads_with_its_factory(compact: Path) -> None:
    tamper(compact, lambda manifest: manifest.update(workload="mine"))
    assert isinstance(bench.load(compact, DummyGenerator), DummyGenerator)


LOAD_ALONE = """
import sys
sys.modules["torch_pruning"] = None
import bench
from bench.workloads.store import state_hash
for folder in sys.argv[1:]:
    print(state_hash(bench.load(folder).state_dict()))
"""


def test_loading_needs_no_torch_pruning(tmp_path: Path, shop: Workshop) -> None:
    folders = [tmp_path / kind for kind in KINDS]
    hashes = [state_hash(save(kind, tmp_path / kind, shop).generator.state_dict()) for kind in KINDS]
    answer = subprocess.run(
        [sys.executable, "-c", LOAD_ALONE, *map(str, folders)], capture_output=True, text=True, check=False
    )
    assert (answer.stdout.split(), answer.returncode) == (hashes, 0), answer.stderr


# Damaged and hostile


def set_kept(module: str, side: str, indices: Any) -> Change:
    return lambda manifest: manifest["kept"].setdefault(module, {}).update({side: indices})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(artifact_version=99), "artifact version 99, expected 1"),
        (lambda manifest: manifest.clear(), "artifact version None, expected 1"),
        (lambda manifest: manifest.update(workload="../../x"), "workload '../../x' is not registered"),
        (lambda manifest: manifest.update(workload="os:system"), "workload 'os:system' is not registered"),
        (lambda manifest: manifest.update(workload=["dummy"]), "is not registered"),
        (lambda manifest: manifest.update(workload=None), "is not registered"),
        (lambda manifest: manifest.update(hashes=[]), "is not the file"),
        (lambda manifest: manifest.update(hashes={"generator": "0" * 64}), "is not the file"),
        (lambda manifest: manifest.update(kept=[]), "kept indices do not fit"),
        (lambda manifest: manifest.update(kept={"net.0": [1]}), "kept indices do not fit"),
        (set_kept("net.0", "out", [0, 1, 999]), "kept indices do not fit"),
        (set_kept("net.0", "out", [-1]), "kept indices do not fit"),
        (set_kept("net.0", "out", [2**70]), "beyond 64 bits"),
        (set_kept("net.0", "out", ["0"]), "kept indices do not fit"),
        (set_kept("net.0", "out", [[0]]), "kept indices do not fit"),
        (set_kept("net.0", "out", "__import__('os')"), "kept indices do not fit"),
        (set_kept("net.0", "sideways", [0]), "kept indices do not fit"),
        (set_kept("net.2", "out", [0]), "kept indices do not fit"),
        (set_kept("no.such.layer", "out", [0]), "kept indices do not fit"),
        (set_kept("net.0", "out", [0, 1]), "expected"),
    ],
)
def test_a_tampered_manifest_is_refused_with_its_place(compact: Path, change: Change, message: str) -> None:
    tamper(compact, change)
    with pytest.raises(UserError, match=r"(manifest\.json|generator\.safetensors): ") as caught:
        load_artifact(compact)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff\xfe\x00"], ids=["empty", "list", "cut", "binary"])
def test_a_manifest_that_is_none_is_refused(compact: Path, content: bytes) -> None:
    (compact / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=r"manifest\.json: "):
        load_artifact(compact)


def test_a_folder_without_an_artefact_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json: cannot be read"):
        load_artifact(tmp_path / "nothing")


def test_exchanged_weights_are_refused(compact: Path) -> None:
    path = compact / "generator.safetensors"
    state = read_weights(path)
    write_weights(path, state | {"net.6.bias": state["net.6.bias"] + 1})
    with pytest.raises(UserError, match="content hash differs"):
        load_artifact(compact)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_weights_that_are_cut_off_are_refused(compact: Path, share: float) -> None:
    path = compact / "generator.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"generator\.safetensors: not a safetensors file, or damaged"):
        load_artifact(compact)


def test_weights_that_are_missing_are_one_sentence(compact: Path) -> None:
    (compact / "generator.safetensors").unlink()
    with pytest.raises(UserError, match=r"generator\.safetensors: cannot be read"):
        load_artifact(compact)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_place_of_the_weights_is_not_opened(compact: Path, tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))
    (compact / "generator.safetensors").write_bytes(bomb)
    with pytest.raises(UserError, match="pickles are never opened"):
        load_artifact(compact)
    assert not (tmp_path / "executed").exists()
    pickle.loads(bomb)  # it would have worked
    assert (tmp_path / "executed").exists()


def test_a_manifest_imports_nothing(compact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trojan.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("trojan", "trojan:make", "trojan.make"):
        tamper(compact, lambda manifest, name=name: manifest.update(workload=name))  # type: ignore[misc]
        with pytest.raises(UserError, match="is not registered"):
            load_artifact(compact)
    assert not (tmp_path / "executed").exists()
    assert "trojan" not in sys.modules


def test_weights_with_infinities_are_refused(compact: Path) -> None:
    path = compact / "generator.safetensors"
    state = read_weights(path)
    state["net.6.bias"] = torch.tensor([float("inf")])
    write_weights(path, state)
    tamper(compact, lambda manifest: manifest["hashes"].update(generator=state_hash(state)))
    with pytest.raises(UserError, match="not finite"):
        load_artifact(compact)


def test_a_factory_of_another_network_is_refused(compact: Path) -> None:
    with pytest.raises(UserError, match="kept indices do not fit Linear"):
        load_artifact(compact, lambda: nn.Linear(2, 2))


def test_a_dense_network_needs_the_kept_indices(compact: Path) -> None:
    state = read_weights(compact / "generator.safetensors")
    with pytest.raises(UserError, match="does not fit DummyGenerator"):
        load_into(DummyGenerator(), state, "weights")


# Removed blocks, shared tensors, codes


class Twins(nn.Module):
    """``(B, 4) -> (B, 4)``: layers of one shape, one of which can go."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.c(torch.relu(self.b(torch.relu(self.a(z)))))
        return x


def merged(how: str) -> Recovered:
    """A network from which something was removed by hand."""
    torch.manual_seed(0)
    model = Twins().eval()
    if how == "bypassed":
        return Recovered(bypass(model, ("b",)), Pruned(model, (), bypassed=("b",)))
    if how == "tied":
        share(model, {"b": "a"})
        return Recovered(model, Pruned(model, (), tied={"b": "a"}))
    codes = {"a": torch.arange(16, dtype=torch.uint8).view(4, 4) % 3}
    put_on_levels(model, codes)
    return Recovered(model, Pruned(model, (), masks={"a": codes["a"] != 0}, codes=codes))


@pytest.fixture(params=["bypassed", "tied", "coded"])
def odd(request: pytest.FixtureRequest, artefact: Path) -> tuple[str, Path, Recovered]:
    recovered = merged(request.param)
    save_artifact(artefact, recovered, workload="mine", made_by={}, provenance={})
    return request.param, artefact, recovered


def test_what_was_merged_comes_back_bit_by_bit(odd: tuple[str, Path, Recovered]) -> None:
    how, folder, recovered = odd
    loaded = load_artifact(folder, Twins)
    z = torch.randn(3, 4)
    with torch.no_grad():
        assert torch.equal(loaded(z), recovered.generator(z))
    assert isinstance(loaded, Twins)
    assert isinstance(loaded.b, nn.Identity) == (how == "bypassed")
    assert how != "tied" or loaded.a.weight is loaded.b.weight
    if how == "coded":
        assert torch.equal(read_artifact(folder).codes["a"], recovered.pruned.codes["a"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(bypassed=["no.such"]), "bypassed modules do not fit"),
        (lambda manifest: manifest.update(bypassed=7), "bypassed modules do not fit"),
        (lambda manifest: manifest.update(bypassed=["__class__"]), "bypassed modules do not fit"),
        (lambda manifest: manifest.update(bypassed=[""]), "bypassed modules do not fit"),
        (lambda manifest: manifest.update(bypassed=["forward"]), "bypassed modules do not fit"),
        (lambda manifest: manifest.update(tied={"b": "forward"}), "shared layers do not fit"),
        (lambda manifest: manifest.update(tied={"b": "os.system"}), "shared layers do not fit"),
        (lambda manifest: manifest.update(tied=["a"]), "shared layers do not fit"),
    ],
)
def test_a_manifest_reaches_nothing_but_the_networks_modules(artefact: Path, change: Change, message: str) -> None:
    save_artifact(artefact, merged("tied"), workload="mine", made_by={}, provenance={})
    tamper(artefact, change)
    with pytest.raises(UserError, match=message):
        load_artifact(artefact, Twins)


@pytest.mark.parametrize("name", ["masks", "codes"])
def test_masks_and_codes_are_checked_like_the_weights(artefact: Path, name: str) -> None:
    save_artifact(artefact, merged("coded"), workload="mine", made_by={}, provenance={})
    path = artefact / f"{name}.safetensors"
    write_weights(path, {"a": torch.zeros(4, 4, dtype=torch.uint8)})
    with pytest.raises(UserError, match=rf"{name}\.safetensors: is not the file"):
        load_artifact(artefact, Twins)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_artifact(artefact, Twins)


LOAD_BARE = """
import sys
import bench
bench.load(sys.argv[1])
print([name for name in ("torch_pruning", "onnx", "onnxruntime", "openvino", "pandas") if name in sys.modules])
"""


def test_loading_imports_no_pruning_library_and_nothing_heavy(compact: Path) -> None:
    answer = subprocess.run([sys.executable, "-c", LOAD_BARE, str(compact)], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


# The model card


def card_of(folder: Path, thing: Cell, shop: Workshop) -> str:
    recovered = make(shop.resolve(thing), shop).recovered
    number = Number(
        value=12.5, unit="squared feature distance", direction="lower", kind="stochastic", version="frechet-2",
        num_images=50,
    )  # fmt: skip
    save_artifact(
        folder, recovered, workload="dummy", made_by=thing.model_dump(), provenance={"libraries": {"torch": "9.9"}},
        inputs=(torch.zeros(1, 8),), numbers={"fid[dummy-judge]": number}, judged_seed=3,
    )  # fmt: skip
    return (folder / "MODEL_CARD.md").read_text()


def test_the_card_says_what_it_is_how_it_was_made_and_how_to_load_it(artefact: Path, shop: Workshop) -> None:
    thing = cell("l1-channel-global", recovery="bn-recalibrate")
    text = card_of(artefact, thing, shop)
    loaded = load_artifact(artefact)
    assert f"{sum(p.numel() for p in loaded.parameters()):,} parameters" in text
    assert "channels are physically gone" in text and "`(N, 8)` float32" in text
    assert "ganprune.load(" in text and "seed 3" in text and "12.5" in text and "frechet-2" in text
    assert "libraries.torch" in text and "9.9" in text
    for value in json.loads((artefact / "manifest.json").read_text())["hashes"].values():
        assert value in text


def test_the_command_on_the_card_makes_the_same_weights_again(
    artefact: Path, tmp_path: Path, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = card_of(artefact, cell("random-weight-global", 0.3, recovery="bn-recalibrate", seed=2), shop)
    (line,) = [line.strip() for line in text.splitlines() if line.startswith("    ganprune prune")]
    words = shlex.split(line)
    words[words.index("DIR")] = str(tmp_path / "again")
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    first, second = (read_artifact(folder).manifest["hashes"] for folder in (artefact, tmp_path / "again"))
    assert first == second


def test_the_card_of_masks_promises_no_speed(artefact: Path, shop: Workshop) -> None:
    assert "dense kernels run no faster" in card_of(artefact, cell("l1-weight-global", 0.7), shop)


def test_without_numbers_the_card_claims_none(artefact: Path, shop: Workshop) -> None:
    save("compact", artefact, shop)
    assert "saved without being judged" in (artefact / "MODEL_CARD.md").read_text()


def test_names_cannot_break_out_of_the_card(artefact: Path) -> None:
    hostile = "x|<script>alert(1)</script>\n\n# [a](javascript:b)"
    save_artifact(
        artefact, merged("tied"), workload=hostile, made_by={"strategy": hostile, "level": {"sparsity": 0.5}},
        provenance={hostile: hostile},
    )  # fmt: skip
    text = (artefact / "MODEL_CARD.md").read_text()
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert "<script" not in prose and "](" not in prose
    assert [line for line in text.splitlines() if line.startswith("# ")] == [text.splitlines()[0]]
