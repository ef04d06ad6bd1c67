"""What channels put out, by hand; see `hand` for the network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from strategies.criteria import activation, actvar
from tests.strategies.criteria.hand import KINDS, Z1, Z2, Net, channels_of, context, layer


@pytest.mark.parametrize("kind", KINDS)
def test_activation_is_the_mean_magnitude_behind_the_activation(kind: str) -> None:
    # relu(W z): (5, 3, 0) and (2, 0, 6).
    assert channels_of(activation, context(Net(kind), Z1, Z2)) == pytest.approx([3.5, 1.5, 3.0])
    assert activation(context(Net(kind), Z1, Z2))["last"].tolist() == pytest.approx([1.75])


@pytest.mark.parametrize("kind", KINDS)
def test_actvar_is_the_variance_over_latents(kind: str) -> None:
    # (5, 2), (3, 0), (0, 6): half the distance, squared. The output is 1.75 for both.
    assert channels_of(actvar, context(Net(kind), Z1, Z2)) == pytest.approx([2.25, 2.25, 9.0])
    assert actvar(context(Net(kind), Z1, Z2))["last"].tolist() == pytest.approx([0.0], abs=1e-12)


def test_a_plain_function_ends_the_walk_behind_the_layer() -> None:
    class Plain(Net):
        def forward(self, z: Tensor) -> Tensor:
            return self.last(torch.relu(self.first(z)))

    # W z: (5, 3, -3) and (2, -4, 6).
    assert activation(context(Plain(), Z1, Z2))["first"].tolist() == pytest.approx([3.5, 3.5, 4.5])


def test_norms_behind_the_layer_count() -> None:
    model = Net()
    norm = nn.BatchNorm1d(3, eps=0.0)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 1.0, -1.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    model.act = nn.Sequential(norm, nn.ReLU())
    # relu(2 x 5 + 1), relu(3), relu(3) and relu(2 x 2 + 1), relu(-4), relu(-6)
    assert activation(context(model, Z1, Z2))["first"].tolist() == pytest.approx([8.0, 1.5, 1.5])


class Wide(nn.Module):
    """One channel at two positions: ``a = (z1, 2 z1 + z2)``."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = layer("conv", torch.tensor([[1.0]])), layer("conv", torch.tensor([[1.0]]))

    def forward(self, z: Tensor) -> Tensor:
        x = torch.stack([z[:, 0], 2 * z[:, 0] + z[:, 1]], 1)[:, None, None, :]
        return self.last(self.first(x))


def test_positions_are_averaged_and_their_differences_are_no_variance() -> None:
    # z = (1, 0) and (3, 0): a = (1, 2) and (3, 6). Mean 3; variances 1 and 4, mean 2.5 (over all four values: 3.5).
    found = context(Wide(), (1.0, 0.0), (3.0, 0.0))
    assert activation(found)["first"].tolist() == pytest.approx([3.0])
    assert actvar(found)["first"].tolist() == pytest.approx([2.5])


def test_a_channel_that_says_the_same_for_every_latent_has_no_variance() -> None:
    model = Net()
    model.first = nn.Linear(2, 3)
    with torch.no_grad():
        model.first.weight.zero_()
        model.first.bias.copy_(torch.tensor([1e4, 0.1, 3.0]))
    assert actvar(context(model, Z1, Z2))["first"].tolist() == [0.0, 0.0, 0.0]


def test_channels_of_a_linear_layer_on_tokens_are_its_last_dimension() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = layer("linear", torch.tensor([[1.0], [3.0]])), layer("linear", torch.ones(1, 2))

        def forward(self, z: Tensor) -> Tensor:
            return self.last(self.first(z[:, :, None])).squeeze(2)

    # Two tokens (z1, z2) = (1, 3): channels (1, 3) and (3, 9), one value a token.
    assert activation(context(Tokens(), (1.0, 3.0)))["first"].tolist() == pytest.approx([2.0, 6.0])
