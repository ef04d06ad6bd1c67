"""What PyTorch and libraries leave on modules and in files: made plain, translated, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from bench.base.errors import UserError
from bench.workloads.own import Own
from bench.workloads.prepare import is_unmaterialised, prepared
from bench.workloads.reading import load_checkpoint_file
from bench.workloads.spec import CheckpointSpec
from tests.own.conftest import Describe
from tests.own.gans import Dcgan
from tests.own.test_own import record


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.register_buffer("noise", torch.randn(2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.a(x) + self.noise.sum()  # type: ignore[operator]
        return out


class Extra(Plain):
    def get_extra_state(self) -> object:
        return {"version": 2}

    def set_extra_state(self, state: object) -> None:
        raise ValueError("never called")


class Translating(Plain):
    """Knows an older name of its weight, by a hook for loading."""

    def __init__(self) -> None:
        super().__init__()
        self._register_load_state_dict_pre_hook(self._older)

    def _older(self, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        if f"{prefix}old" in state:
            state[f"{prefix}a.weight"] = state.pop(f"{prefix}old").t()


class Overriding(Plain):
    """The same by what `nn.Module` calls for each module."""

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        state["a.weight"] = state.pop("old").t()
        super()._load_from_state_dict(state, prefix, *rest)  # type: ignore[no-untyped-call]


def load(module: nn.Module, content: Any, folder: Path, **said: Any) -> nn.Module:
    path = folder / "weights.pth"
    torch.save(content, path)
    return load_checkpoint_file(prepared(module, "here"), CheckpointSpec(file="weights.pth", **said), path, "here")


def test_weight_norm_s_old_names_are_read_by_the_new_one(tmp_path: Path) -> None:
    old, new = Plain(), Plain()
    nn.utils.weight_norm(old.a)
    parametrizations.weight_norm(new.a)
    load(new, old.state_dict(), tmp_path)
    x = torch.randn(5, 3)
    assert torch.allclose(new(x), old(x), atol=1e-6)


@pytest.mark.parametrize("kind", [Translating, Overriding])
def test_what_a_module_translates_when_it_loads_is_translated(tmp_path: Path, kind: type[Plain]) -> None:
    state = Plain().state_dict()
    weight = state.pop("a.weight")
    loaded = load(kind(), state | {"old": weight.t()}, tmp_path)
    assert torch.equal(loaded.state_dict()["a.weight"], weight)


def test_a_hook_that_fails_is_one_message(tmp_path: Path) -> None:
    module = Plain()
    module._register_load_state_dict_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(UserError, match="cannot be loaded into Plain: ZeroDivisionError"):
        load(module, Plain().state_dict(), tmp_path)


def test_what_still_does_not_fit_is_listed_with_shapes(tmp_path: Path) -> None:
    state = Plain().state_dict() | {"a.weight": torch.zeros(4, 5), "more": torch.zeros(1)}
    with pytest.raises(UserError, match=r"(?s)1 unexpected in the file: more.*a\.weight \(4, 5\), the network has"):
        load(Plain(), state, tmp_path)


def test_extra_state_is_left_out_of_files_and_networks(tmp_path: Path) -> None:
    state = Extra().state_dict()
    assert state["_extra_state"] == {"version": 2}
    loaded = load(Extra(), state, tmp_path)
    assert torch.equal(loaded.state_dict()["a.weight"], state["a.weight"])
    assert "_extra_state" not in loaded.state_dict()
    assert (
        "_extra_state"
        not in load(nn.Sequential(Extra()), {"model": nn.Sequential(Extra()).state_dict()}, tmp_path).state_dict()
    )


def _pruned(module: Plain) -> Plain:
    prune.l1_unstructured(module.a, "weight", 0.5)
    return module


@pytest.mark.parametrize("file", [False, True], ids=["plain file", "masks in the file"])
@pytest.mark.parametrize("network", [False, True], ids=["plain network", "masks in the network"])
def test_masks_of_pytorch_s_own_pruning_are_multiplied_in(tmp_path: Path, file: bool, network: bool) -> None:
    source = _pruned(Plain()) if file else Plain()
    loaded = load(_pruned(Plain()) if network else Plain(), source.state_dict(), tmp_path)
    assert set(loaded.state_dict()) == {"a.weight", "a.bias", "noise"}
    assert torch.equal(loaded.state_dict()["a.weight"], source.a.weight)
    assert float((loaded.state_dict()["a.weight"] == 0).float().mean()) == (0.5 if file else 0)


def test_buffers_that_a_file_lacks_bring_the_advice_that_helps(tmp_path: Path) -> None:
    state = Plain().state_dict()
    del state["noise"]
    with pytest.raises(UserError, match=r"Only buffers are missing.*checkpoint\.strict = false"):
        load(Plain(), state, tmp_path)
    assert load(Plain(), state, tmp_path, strict=False)
    prefixed = {f"module.{name}": value for name, value in state.items()}
    with pytest.raises(UserError, match=r"prefix = 'module\.' together with checkpoint\.strict = false makes all"):
        load(Plain(), prefixed, tmp_path)
    assert load(Plain(), prefixed, tmp_path, strict=False, prefix="module.")


def test_a_missing_parameter_is_never_advised_away(tmp_path: Path) -> None:
    state = Plain().state_dict()
    del state["a.bias"]
    with pytest.raises(UserError, match=r"missing in the file: a\.bias") as caught:
        load(Plain(), state, tmp_path)
    assert "strict" not in str(caught.value)
    with pytest.raises(UserError, match=r"missing in the file: a\.bias"):
        load(Plain(), state, tmp_path, strict=False)


def test_a_lazy_generator_learns_its_sizes_from_a_pass(describe: Describe) -> None:
    own = Own(describe(factory="gans.py:Lazy"))
    generator, _ = own.load()
    assert not is_unmaterialised(generator)
    again, _ = own.load()
    assert all(torch.equal(a, b) for a, b in zip(generator.parameters(), again.parameters(), strict=True))
    assert record(describe(factory="gans.py:Lazy")).status == "ok"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.jit.script(Dcgan()), "is a TorchScript module"),
        (lambda: nn.Sequential(torch.jit.script(Dcgan())), "here: 0 is a TorchScript module"),
        (lambda: Dcgan().to("meta"), "Dcgan cannot be used: NotImplementedError"),
    ],
    ids=["scripted", "a scripted part", "without values"],
)
def test_what_cannot_be_cut_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepared(make(), "here")


def test_a_compiled_network_is_the_one_that_was_compiled() -> None:
    network = Dcgan()
    assert prepared(torch.compile(network), "here") is network  # type: ignore[arg-type]


def test_a_factory_that_gives_the_same_module_again_is_refused(describe: Describe) -> None:
    own = Own(describe(factory="gans.py:one_for_all"))
    own.generator()
    with pytest.raises(UserError, match="gives the same module again"):
        own.generator()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_sources_in_any_encoding_have_the_same_code(describe: Describe, folder: Path, encoding: str) -> None:
    source = "# caf\u00e9\nfrom tests.own.gans import Dcgan\n\n\ndef make():\n    return Dcgan()\n"
    for name, text, how in (("utf", source, "utf-8"), ("other", source, encoding)):
        head = f"# -*- coding: {encoding} -*-\n" if how == "latin-1" else ""
        (folder / f"coded_{name}_{encoding.replace('-', '')}.py").write_bytes((head + text).encode(how))
    codes = {Own(describe(factory=f"coded_{n}_{encoding.replace('-', '')}.py:make")).code for n in ("utf", "other")}
    assert len(codes) == 1


def test_the_labels_of_dense_samples_are_those_that_the_generator_was_given(describe: Describe) -> None:
    from tests.own.test_conditional import BY_INDEX, BY_ONE_HOT

    found = []
    for said in (BY_INDEX, BY_ONE_HOT):
        own = Own(describe(**said | {"reference": {"source": "dense-samples", "limit": 40}}))
        generator, _ = own.load()
        data = own.images(generator, "fingerprint")
        assert set(data.train_labels.tolist()) == {0, 1, 2, 3}
        assert len(data.train) + len(data.held_out) == 40
        found.append(sorted([*data.train_labels.tolist(), *data.held_out_labels.tolist()]))
    assert found[0] == found[1]


@pytest.mark.parametrize("factory", ["Constant", "Integers"])
def test_dense_samples_that_are_all_alike_are_refused(describe: Describe, factory: str) -> None:
    own = Own(describe(factory=f"gans.py:{factory}", reference={"source": "dense-samples", "limit": 40}))
    generator, _ = own.load()
    with pytest.raises(UserError, match="makes 1 different images of 40 inputs"):
        own.images(generator, factory)
