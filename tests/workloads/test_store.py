"""Weights on disk: what is written is read, and nothing else is."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.outside import read_json
from bench.workloads.store import half, load_into, read_weights, state_hash, write_weights

STATE = {
    "a.weight": torch.tensor([[1.0, -2.5], [3.0, 65504.0]]),
    "a.steps": torch.tensor(7),
    "b": torch.tensor([True, False]),
}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "weights.safetensors"
    write_weights(path, STATE)
    found = read_weights(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in STATE.items())
    assert state_hash(found) == state_hash(STATE)
    assert [p.name for p in path.parent.iterdir()] == ["weights.safetensors"]


def test_tensors_in_another_memory_layout_are_written_as_they_read(tmp_path: Path) -> None:
    state = {"t": torch.arange(6.0).view(2, 3).T, "c": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)}
    write_weights(tmp_path / "w", state)
    assert all(torch.equal(read_weights(tmp_path / "w")[name], value) for name, value in state.items())


def test_the_hash_does_not_depend_on_order_or_layout() -> None:
    turned = {name: STATE[name] for name in reversed(STATE)}
    turned["a.weight"] = STATE["a.weight"].T.contiguous().T
    assert state_hash(turned) == state_hash(STATE)


@pytest.mark.parametrize(
    "change",
    [
        {"a.weight": torch.tensor([[1.0, -2.5], [3.0, 65503.0]])},
        {"a.weight": torch.tensor([[1.0, -2.5, 3.0, 65504.0]])},
        {"a.weight": STATE["a.weight"].double()},
        {"a.weight": STATE["a.weight"].view(torch.int32)},
        {"c": torch.zeros(0)},
    ],
    ids=["value", "shape", "precision", "type", "one-more"],
)
def test_the_hash_depends_on_names_types_shapes_and_values(change: dict[str, Tensor]) -> None:
    assert state_hash(STATE | change) != state_hash(STATE)


def test_the_hash_depends_on_which_name_holds_what() -> None:
    one, two = torch.zeros(2), torch.ones(2)
    assert state_hash({"a": one, "b": two}) != state_hash({"a": two, "b": one})


def test_the_hash_takes_every_type() -> None:
    types = [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.bool]
    assert len({state_hash({"a": torch.ones(2, dtype=dtype)}) for dtype in types}) == len(types)


def test_half_rounds_floats_and_leaves_the_rest() -> None:
    found = half(STATE)
    assert {name: value.dtype for name, value in found.items()} == {
        "a.weight": torch.float16,
        "a.steps": torch.int64,
        "b": torch.bool,
    }
    assert half({"x": torch.tensor([1.0 + 2**-12])})["x"].item() == 1.0


def test_halving_twice_is_halving_once() -> None:
    state = {"x": torch.randn(100)}
    assert state_hash(half(half(state))) == state_hash(half(state))


# What is not safetensors.


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    write_weights(tmp_path / "weights.safetensors", STATE)
    return tmp_path / "weights.safetensors"


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_truncated_file_is_refused_with_its_place(weights: Path, keep: int) -> None:
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(UserError, match="not a safetensors file, or damaged") as caught:
        read_weights(weights)
    assert str(weights) in str(caught.value)


@pytest.mark.parametrize("content", [b"{}", b"\xff" * 64, b"\x00" * 64, b"PK\x03\x04" + bytes(60)])
def test_what_is_no_safetensors_is_refused(weights: Path, content: bytes) -> None:
    weights.write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file"):
        read_weights(weights)


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def test_a_pickle_is_never_opened(weights: Path, tmp_path: Path) -> None:
    payload = pickle.dumps(Hostile(tmp_path / "owned"))
    weights.write_bytes(payload)
    with pytest.raises(UserError, match="pickles are never opened"):
        read_weights(weights)
    assert not (tmp_path / "owned").exists()
    pickle.loads(payload)  # it is as hostile as it claims to be
    assert (tmp_path / "owned").exists()


def test_a_torch_file_is_refused(weights: Path) -> None:
    torch.save(STATE, weights)
    with pytest.raises(UserError, match="pickles are never opened"):
        read_weights(weights)


def test_a_missing_file_and_a_folder_are_refused_with_the_place(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(UserError, match="cannot be read") as caught:
            read_weights(path)
        assert str(path) in str(caught.value)


# Loading into a network.


def test_stored_halves_load_into_a_network_of_full_precision() -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    assert load_into(other, half(model.state_dict()), "w") is other
    assert other.weight.dtype == torch.float32
    assert torch.equal(other.weight, model.weight.half().float())


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"weight": torch.zeros(2, 3)}, "missing bias"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "x": torch.zeros(1)}, "unexpected x"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, r"weight is \(3, 2\), expected \(2, 3\)"),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.tensor([0.0, float("nan")])},
            "bias holds values that are not fin",
        ),
        ({"weight": torch.full((2, 3), -float("inf")), "bias": torch.zeros(2)}, "weight holds values that are not fin"),
    ],
    ids=["missing", "unexpected", "shape", "nan", "infinite"],
)
def test_what_does_not_fit_is_refused_and_nothing_is_loaded(state: dict[str, Tensor], problem: str) -> None:
    model = nn.Linear(3, 2)
    before = state_hash(model.state_dict())
    with pytest.raises(UserError, match=rf"some/place: does not fit Linear: {problem}"):
        load_into(model, state, "some/place")
    assert state_hash(model.state_dict()) == before


def test_the_first_four_problems_are_named_and_the_rest_counted() -> None:
    with pytest.raises(UserError) as caught:
        load_into(nn.Linear(3, 2), {name: torch.zeros(1) for name in "abcde"}, "w")
    assert str(caught.value).endswith("missing weight; missing bias; unexpected a; unexpected b and 3 more.")


# JSON.


def test_json_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, "ü"]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": [1, "ü"]}


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1} x', b"\xff\xfe{}"])
def test_damaged_json_is_refused_with_its_place(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged, not (JSON|text)") as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_missing_json_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"card\.json: cannot be read"):
        read_json(tmp_path / "card.json")
