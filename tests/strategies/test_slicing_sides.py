"""The sides of a module: what they cut, and who reads them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from strategies.base import Kept
from strategies.granularity.groups import Group, Member, kept_without
from strategies.slicing import shrink, side_tensors, side_width, twin_error


def indices(*values: int) -> Tensor:
    return torch.tensor(values)


class Modulated(nn.Module):
    """A layer of somebody's own: outputs along dimension 1 of its weight, inputs along dimension 2."""

    def __init__(self) -> None:
        super().__init__()
        self.out_channel = 5
        self.weight = nn.Parameter(torch.arange(60.0).view(1, 5, 3, 2, 2))
        self.bias = nn.Parameter(torch.arange(5.0))


@pytest.mark.parametrize(
    ("module", "side", "width"),
    [
        (nn.Linear(3, 5), "out", 5),
        (nn.Linear(3, 5), "in", 3),
        (nn.Linear(3, 5), "product", 5),
        (nn.Linear(3, 5), ".in_features", 3),
        (nn.Conv2d(3, 5, (2, 7)), ".kernel_size[1]", 7),
        (nn.Conv2d(3, 5, (2, 7)), "weight:3:in", 7),
        (nn.InstanceNorm2d(6), "out", 6),
        (nn.Embedding(3, 4), "out", 4),
        (nn.GroupNorm(2, 8), "out", 8),
        (nn.PReLU(5), "out", 5),
    ],
)
def test_how_many_indices_a_side_has(module: nn.Module, side: str, width: int) -> None:
    assert side_width(module, side) == width


@pytest.mark.parametrize(
    ("module", "side", "tensors"),
    [
        (nn.Linear(3, 5), "out", {"weight": 0, "bias": 0}),
        (nn.Linear(3, 5), "in", {"weight": 1}),
        (nn.ConvTranspose2d(3, 5, 1), "out", {"weight": 1, "bias": 0}),
        (nn.ConvTranspose2d(3, 5, 1), "in", {"weight": 0}),
        (nn.Linear(3, 5), "product", {}),
        (nn.Linear(3, 5), ".in_features", {}),
        (nn.Linear(3, 5), "bias:0:in", {"bias": 0}),
        (nn.BatchNorm2d(4), "out", dict.fromkeys(("weight", "bias", "running_mean", "running_var"), 0)),
        (nn.Embedding(3, 4), "out", {"weight": 1}),
        (nn.GroupNorm(2, 4), "out", {"weight": 0, "bias": 0}),
    ],
)
def test_which_tensors_a_side_cuts_and_along_which_dimension(
    module: nn.Module, side: str, tensors: dict[str, int]
) -> None:
    assert side_tensors(module, side) == tensors


@pytest.mark.parametrize(("module", "side"), [(nn.BatchNorm2d(4), "in"), (nn.LayerNorm(4), "out"), (nn.ReLU(), "out")])
def test_a_module_without_such_a_side_is_refused(module: nn.Module, side: str) -> None:
    for ask in (side_width, side_tensors):
        with pytest.raises(TypeError, match="cannot be made smaller"):
            ask(module, side)


def test_a_tensor_of_two_modules_is_cut_once_and_must_keep_the_same_of_both() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    kept: Kept = {"0": {"out": indices(0, 2)}, "1": {"out": indices(0, 2)}}
    small = shrink(model, kept)
    assert small[0].weight is small[1].weight and small[0].weight.shape == (2, 3)
    assert [(layer.in_features, layer.out_features) for layer in small] == [(3, 2), (3, 2)]
    with pytest.raises(ValueError, match=r"0\.weight and 1\.weight are one tensor, and would keep different channels"):
        shrink(model, {"0": {"out": indices(0, 2)}, "1": {"out": indices(0, 1)}})


def test_a_network_that_is_in_double_precision_already_is_left_as_it_was() -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.register_buffer("scale", torch.ones(2))
            self.register_buffer("order", torch.tensor([1, 0]))  # whole numbers stay whole: they are places

        def forward(self, x: Tensor) -> Tensor:
            return (super().forward(x) * self.scale)[:, self.order]

    model = nn.Sequential(Scaled(), nn.Linear(2, 1)).double().eval()
    before = copy.deepcopy(model.state_dict())
    kept: Kept = {"0": {"out": indices(0, 1)}, "1": {"in": indices(0)}}
    assert twin_error(model, copy.deepcopy(model), {}, (torch.ones(1, 2),)) == 0.0
    assert twin_error(model, copy.deepcopy(model), kept, (torch.ones(1, 2),)) > 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_tensors_of_a_module_inside_are_not_those_of_the_layer_around_it() -> None:
    layer = Modulated()
    layer.inner = nn.BatchNorm1d(5)
    assert side_tensors(layer, "out") == {"weight": 1, "bias": 0}


@pytest.mark.parametrize("side", [".kernel_size", ".padding_mode", ".nothing[1]"])
def test_a_width_is_one_whole_number_of_an_attribute(side: str) -> None:
    with pytest.raises(AttributeError, match="has no whole number"):
        side_width(nn.Conv2d(3, 5, 2), side)


@pytest.mark.parametrize(
    ("side", "reads"),
    [("in", True), ("product", True), ("weight:1:in", True), ("out", False), ("weight:0:out", False), (".n", False)],
)
def test_which_sides_read_their_channels(side: str, reads: bool) -> None:
    every = torch.arange(2)
    assert Member("a", side, every, every).reads is reads
    made = Member("b", "out", every, every)
    assert Group("b", 2, (made, Member("a", side, every, every))).consumed is reads


def test_what_stays_of_each_module_is_what_no_group_takes() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Linear(8, 3), nn.Linear(3, 3))
    twice = Member("1", "in", torch.arange(8), torch.arange(8) // 2)
    groups = (
        Group("0", 4, (Member("0", "out", torch.arange(4), torch.arange(4)), twice)),
        Group("1", 2, (Member("1", "out", torch.tensor([0, 2]), torch.tensor([0, 1])),)),
        Group("2", 1, (Member("1", "out", torch.tensor([1]), torch.tensor([0])),)),
    )
    none = torch.tensor([], dtype=torch.long)
    kept = kept_without(model, groups, {"0": torch.tensor([3, 1]), "1": torch.tensor([1]), "2": none})
    assert {name: {side: x.tolist() for side, x in sides.items()} for name, sides in kept.items()} == {
        "0": {"out": [0, 2]},
        "1": {"in": [0, 1, 4, 5], "out": [0, 1]},
    }
    assert kept_without(model, groups, dict.fromkeys("012", none)) == {}
