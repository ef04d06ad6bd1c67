"""Which dimension is which, and how often a weight is multiplied."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from strategies.layers import in_dim, named_weights, out_dim, positions, prunable_layers, widths


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
