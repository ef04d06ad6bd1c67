"""Which dimension is which, and how often a weight is multiplied."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from strategies import layers
from strategies.granularity.coupling import couple
from strategies.layers import in_dim, named_weights, out_dim, prunable_layers, register_layer, widths
from strategies.slicing import shrink
from strategies.work import work_of


def positions(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, float]:
    work = work_of(model, inputs)
    return {name: work.per_entry(name) for name in work.by_layer}


class Scaled(nn.Linear):
    """A linear layer by another name."""


@pytest.mark.parametrize(
    ("layer", "size_out", "size_in"),
    [
        (nn.Linear(3, 5), 5, 3),
        (Scaled(3, 5), 5, 3),
        (nn.Conv1d(3, 5, 2), 5, 3),
        (nn.Conv2d(3, 5, 2), 5, 3),
        (nn.ConvTranspose1d(3, 5, 2), 5, 3),
        (nn.ConvTranspose2d(3, 5, 2), 5, 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_dimensions_and_widths_name_outputs_and_inputs(layer: nn.Module, size_out: int, size_in: int) -> None:
    assert layer.weight.shape[out_dim(layer)] == size_out
    assert layer.weight.shape[in_dim(layer)] == size_in
    assert widths(layer) == {"": (size_out, size_in)}


@pytest.mark.parametrize(
    ("layer", "input_shape", "expected"),
    [
        (nn.Conv2d(3, 5, 3, padding=1), (3, 8, 6), 8 * 6),
        (nn.Conv2d(3, 5, 3, stride=2), (3, 9, 7), 4 * 3),
        (nn.Conv2d(3, 5, 3, dilation=2), (3, 9, 7), 5 * 3),
        (nn.Conv1d(3, 5, 3), (3, 10), 8),
        (nn.ConvTranspose2d(3, 5, 4, 2, 1), (3, 7, 5), 7 * 5),
        (nn.ConvTranspose2d(3, 5, 7), (3, 1, 1), 1),
        (nn.ConvTranspose1d(3, 5, 4, 2), (3, 6), 6),
        (nn.Linear(4, 5), (4,), 1),
        (nn.Linear(4, 5), (7, 4), 7),
        (nn.Linear(4, 5), (2, 3, 4), 6),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_positions_are_the_closed_form_for_one_image(
    layer: nn.Module, input_shape: tuple[int, ...], expected: int, batch: int
) -> None:
    assert positions(layer, (torch.zeros(batch, *input_shape),)) == {"": expected}


def test_a_layer_that_runs_twice_counts_twice_and_one_that_never_runs_not_at_all() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.twice, self.never = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, z: Tensor) -> Tensor:
            return self.twice(self.twice(z))

    assert positions(Net(), (torch.zeros(1, 4),)) == {"twice": 2, "never": 0}


def test_counting_leaves_modes_hooks_and_statistics_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout())
    model[2].eval()
    before = model[1].running_mean.clone()
    positions(model, (torch.randn(5, 4),))
    assert [m.training for m in model.modules()] == [True, True, True, False]
    assert not model[0]._forward_hooks
    assert torch.equal(model[1].running_mean, before)


def test_the_scope_is_convolutions_and_linear_layers_in_order_of_definition() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 3, 1),
        nn.BatchNorm2d(3),
        nn.Sequential(nn.PReLU(3), nn.ConvTranspose2d(3, 4, 1)),
        nn.Embedding(3, 4),
        nn.Linear(4, 5),
    )
    assert list(prunable_layers(model)) == ["0", "2.1", "4"]
    assert [name for name, _ in named_weights(model)] == ["0", "2.1", "4"]
    assert not any(weight.requires_grad for _, weight in named_weights(model))


class Modulated(nn.Module):
    """Somebody's own: a weight for each image of the batch, and a fixed blur behind it."""

    def __init__(self, out: int = 5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, out, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        batch, width, *size = x.shape
        weight = (self.weight * x.mean((2, 3)).view(batch, 1, width, 1, 1)).flatten(0, 1)
        y = torch.conv2d(x.reshape(1, -1, *size), weight, padding=1, groups=batch).view(batch, -1, *size)
        return torch.conv2d(y, torch.ones(y.shape[1], 1, 3, 3), padding=1, groups=y.shape[1])


@pytest.mark.parametrize("batch", [1, 3])
def test_positions_of_an_own_layer_are_those_of_its_weight_alone(batch: int) -> None:
    assert positions(Modulated(), (torch.ones(batch, 3, 8, 6),)) == {"": 8 * 6}


def test_an_own_layer_stays_one_when_a_single_channel_is_left() -> None:
    model = nn.Sequential(nn.Linear(2, 3), Transposed(3, 2))
    small = shrink(model, {"1": {"out": torch.tensor([0]), "in": torch.tensor([1])}})
    assert list(prunable_layers(small)) == ["0", "1"]
    assert widths(small)["1"] == (1, 1)


class Transposed(nn.Module):
    """Inputs first: against the convention."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(into, out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def test_a_layer_against_the_convention_is_pruned_once_it_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_REGISTERED", {})
    model = nn.Sequential(Transposed(4, 6), nn.ReLU(), Transposed(6, 3)).eval()
    inputs = (torch.randn(2, 4),)
    assert [group.name for group in couple(model, inputs).groups] == ["2"]  # proven all the same, scored by its reader
    register_layer(Transposed, out_dim=1, in_dim=0)
    (group,) = couple(model, inputs).groups
    assert (group.name, group.size) == ("0", 6)
    assert widths(model) == {"0": (6, 4), "2": (3, 6)}


def test_values_for_each_channel_are_no_layer_whatever_their_shape() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, 4, 1, 1))

    assert prunable_layers(nn.Sequential(Scale(), nn.PReLU(4), nn.LayerNorm([4, 4]), nn.Embedding(3, 4))) == {}


def test_a_layer_whose_weight_cannot_be_had_is_out_of_scope() -> None:
    layer = nn.Linear(3, 2)
    del layer._parameters["weight"]
    assert prunable_layers(nn.Sequential(nn.Linear(2, 3), layer)).keys() == {"0"}
