"""A quantised network's bytes, by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from bench.measure.coded import pack, unpack


def coded(layers: Mapping[str, nn.Linear], values: Mapping[str, list[float]]) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network whose layers hold only these values, in turn, and which one each weight is."""
    codes = {}
    for name, layer in layers.items():
        numbers = (torch.arange(layer.weight.numel()) % len(values[name])).view(layer.weight.shape)
        layer.weight.data = torch.tensor(values[name])[numbers]
        codes[name] = numbers
    return nn.ModuleDict(layers), codes


@pytest.mark.parametrize(
    ("levels", "weights", "expected"),
    [(1, 8, 1), (2, 8, 1), (2, 9, 2), (3, 8, 2), (4, 8, 2), (5, 8, 3), (8, 16, 6), (9, 16, 8)],
)
def test_a_weight_takes_the_bits_of_its_levels_in_whole_bytes_at_the_end_of_a_layer(
    levels: int, weights: int, expected: int
) -> None:
    values = [0.5 * k - 1 for k in range(levels)]
    model, codes = coded({"a": nn.Linear(weights, 1, bias=False)}, {"a": values})
    stored = load(pack(model, codes))
    assert set(stored) == {"a.weight:codes", "a.weight:values", "a.weight:shape"}
    assert stored["a.weight:shape"].tolist() == [1, weights]
    assert stored["a.weight:codes"].numel() == expected
    assert stored["a.weight:values"].tolist() == values


def test_the_codes_are_written_with_the_lowest_bit_first() -> None:
    model, codes = coded({"a": nn.Linear(3, 1, bias=False)}, {"a": [-1.0, 0.0, 7.0]})
    assert load(pack(model, codes))["a.weight:codes"].tolist() == [0b00_10_01_00]  # 0, 1, 2 in two bits each


def test_what_is_read_is_what_was_stored_beside_layers_without_codes_and_tensors_of_two_names() -> None:
    layers = {"a": nn.Linear(5, 3), "plain": nn.Linear(3, 4), "b": nn.Linear(5, 3), "c": nn.Linear(4, 2)}
    _, codes = coded({"a": layers["a"], "c": layers["c"]}, {"a": [-0.25, 0.0, 0.5], "c": [2.0, 3.0]})
    model = nn.ModuleDict(layers)
    layers["b"].weight = layers["a"].weight
    expected = model.state_dict()
    content = pack(model, codes)
    stored = load(content)
    assert stored["b.weight:as:a.weight"].numel() == 0 and "plain.weight" in stored
    found = unpack(content)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_table_keeps_only_the_levels_that_are_used() -> None:
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[0.5, 9.0, 9.0, 0.5]])
    content = pack(nn.ModuleDict({"a": layer}), {"a": torch.tensor([[3, 11, 11, 3]])})
    assert load(content)["a.weight:values"].tolist() == [0.5, 9.0]
    assert load(content)["a.weight:codes"].tolist() == [0b0110_0000]
    assert unpack(content)["a.weight"].tolist() == [[0.5, 9.0, 9.0, 0.5]]
