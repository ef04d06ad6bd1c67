"""Checkpoints of the user's: which state dict is taken, under which names, and what is said where none fits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.workloads.reading import load_checkpoint_file
from bench.workloads.spec import CheckpointSpec


class Net(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(3, width)
        self.norm = nn.BatchNorm1d(width)


def state(seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return Net().state_dict()


def renamed(prefix: str, seed: int = 1) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state(seed).items()}


def read(path: Path, module: nn.Module | None = None, **said: Any) -> nn.Module:
    return load_checkpoint_file(module or Net(), CheckpointSpec(file=path.name, **said), path, "here")


def same(module: nn.Module, expected: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, expected[name]) for name, value in module.state_dict().items())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


def test_safetensors_and_a_plain_state_dict_are_read(tmp_path: Path, file: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    torch.save(state(), file)
    assert same(read(tmp_path / "w.safetensors"), state())
    assert same(read(file), state())


def test_half_precision_is_converted_and_counters_may_be_missing(file: Path) -> None:
    content = {name: value.half() for name, value in state().items() if "num_batches" not in name}
    torch.save(content, file)
    weight = read(file).state_dict()["first.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state()["first.weight"].half().float())


def test_a_nested_entry_and_a_prefix(file: Path) -> None:
    torch.save({"state": {"netG": renamed("module."), "netD": state(2)}, "epoch": 3, "args": {"lr": 0.1}}, file)
    assert same(read(file, entry="state.netG", prefix="module."), state())


def test_a_prefix_takes_one_network_out_of_a_file_with_several(file: Path) -> None:
    torch.save(renamed("generator.") | renamed("discriminator.", 2), file)
    assert same(read(file, prefix="generator."), state(1))
    assert same(read(file, prefix="discriminator."), state(2))


def test_add_prefix_is_for_a_network_that_wraps_the_trained_one(file: Path) -> None:
    wrapper = nn.Module()
    wrapper.add_module("inner", Net())
    torch.save(state(), file)
    with pytest.raises(UserError, match=r"checkpoint\.add_prefix = 'inner\.' makes all names fit"):
        read(file, wrapper)
    assert same(read(file, wrapper, add_prefix="inner.").inner, state())  # type: ignore[arg-type]


@pytest.mark.parametrize(("ema", "seed"), [(True, 2), (False, 1)])
def test_the_average_or_the_network_itself(file: Path, ema: bool, seed: int) -> None:
    torch.save({"g": state(1), "g_ema": state(2)}, file)
    assert same(read(file, ema=ema), state(seed))


def test_several_state_dicts_and_no_entry_are_listed_and_those_that_fit_named(file: Path) -> None:
    torch.save({"g": state(), "d": {"x": torch.zeros(1)}, "optimizer": {"lr": 1}}, file)
    with pytest.raises(UserError, match=r"checkpoint\.entry.*'g' \(7 tensors and fits\), 'd' \(1 tensors\)"):
        read(file)
    with pytest.raises(UserError, match=r"no entry 'gen'\. It holds 'g'"):
        read(file, entry="gen")


def test_every_kind_of_misfit_is_listed(file: Path) -> None:
    content = state() | {"extra": torch.zeros(2)}
    del content["norm.weight"]
    content["first.weight"] = torch.zeros(5, 3)
    torch.save(content, file)
    with pytest.raises(UserError) as error:
        read(file)
    assert "1 missing in the file: norm.weight" in str(error.value)
    assert "1 unexpected in the file: extra" in str(error.value)
    assert "1 of another shape: first.weight (5, 3), the network has (4, 3)" in str(error.value)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "a.b.c."])
def test_a_prefix_that_would_make_it_fit_is_suggested(file: Path, prefix: str) -> None:
    torch.save(renamed(prefix), file)
    with pytest.raises(UserError, match=f"Strip it: checkpoint.prefix = {prefix!r} makes all names fit"):
        read(file)
    assert same(read(file, prefix=prefix), state())


def test_other_sizes_under_the_same_names_point_at_the_arguments(file: Path) -> None:
    torch.save(Net(6).state_dict(), file)
    with pytest.raises(UserError, match="other arguments of the factory"):
        read(file)


def test_strict_false_leaves_out_what_is_too_much_and_never_a_parameter(file: Path) -> None:
    content = state() | {"extra": torch.zeros(2)}
    torch.save(content, file)
    with pytest.raises(UserError, match=r"strict = false leaves the rest out"):
        read(file)
    del content["norm.running_mean"]
    torch.save(content, file)
    assert torch.equal(read(file, strict=False).state_dict()["first.bias"], state()["first.bias"])
    del content["norm.bias"]
    torch.save(content, file)
    with pytest.raises(UserError, match=r"1 missing in the file: norm\.bias"):
        read(file, strict=False)


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("run-by-loading"),))


@pytest.mark.parametrize("thing", [Hostile(), argparse.Namespace(lr=1), Net()], ids=["hostile", "namespace", "module"])
def test_more_than_tensors_is_refused_with_the_way_around_it(
    file: Path, thing: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    torch.save({"g": state(), "more": thing}, file)
    with pytest.raises(UserError, match=r"Loading it would run code.*save_file"):
        read(file)
    assert not (file.parent / "run-by-loading").exists()


def test_a_torchscript_archive_is_told_apart(file: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)  # type: ignore[no-untyped-call]
    with pytest.raises(UserError, match="TorchScript"):
        read(file)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02}q"], ids=["empty", "text", "cut"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files_are_said_to_be(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="or damaged"):
        read(path)


def test_no_file_no_state_dict_no_finite_value(file: Path) -> None:
    with pytest.raises(UserError, match="no file"):
        read(file)
    torch.save({"epoch": 3}, file)
    with pytest.raises(UserError, match="holds no state dict"):
        read(file)
    torch.save(state() | {"first.bias": torch.full((4,), float("nan"))}, file)
    with pytest.raises(UserError, match=r"not finite in first\.bias"):
        read(file)
