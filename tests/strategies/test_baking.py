"""Normalised weights made plain: the same function, the same numbers, nothing left behind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from strategies.allocation import global_
from strategies.baking import is_plain, plain, plain_copy
from strategies.base import Context
from strategies.composition import Strategy
from strategies.criteria import l1
from strategies.granularity.weight import weight
from strategies.layers import named_weights, prunable_layers


class MadeConv(nn.Conv2d):
    """As BigGAN's authors wrote it: a method makes the weight, a buffer estimates its norm."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.register_buffer("u0", torch.randn(1, self.out_channels))
        self.register_buffer("sv0", torch.ones(1))

    def W_(self) -> Tensor:
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(self.u0 @ matrix)
            u = F.normalize(v @ matrix.t())
            if self.training:
                self.u0.copy_(u)
        return self.weight / (v @ matrix.t() @ u.t()).squeeze()

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.W_(), self.bias)


class Around(nn.Module):
    """A module around the layer, which sets its weight before each forward pass."""

    def __init__(self, module: nn.Module, name: str = "weight") -> None:
        super().__init__()
        self.module, self.name = module, name
        made = module._parameters.pop(name)
        assert made is not None
        matrix = made.detach().flatten(1)
        module.register_parameter("weight_u", nn.Parameter(torch.randn(matrix.shape[0]), requires_grad=False))
        module.register_parameter("weight_v", nn.Parameter(torch.randn(matrix.shape[1]), requires_grad=False))
        module.register_parameter("weight_bar", made)

    def forward(self, x: Tensor) -> Tensor:
        bar, u, v = (getattr(self.module, f"weight_{k}") for k in ("bar", "u", "v"))
        matrix = bar.detach().flatten(1)
        v.data = F.normalize(matrix.t() @ u, dim=0)
        u.data = F.normalize(matrix @ v, dim=0)
        self.module.weight = bar / u.dot(bar.flatten(1) @ v)
        return self.module(x)


WRAPPERS: dict[str, Callable[..., nn.Module]] = {
    "spectral-old": lambda *sizes: nn.utils.spectral_norm(nn.Conv2d(*sizes)),
    "spectral": lambda *sizes: nn.utils.parametrizations.spectral_norm(nn.Conv2d(*sizes)),
    "weight-old": lambda *sizes: nn.utils.weight_norm(nn.Conv2d(*sizes)),
    "weight": lambda *sizes: nn.utils.parametrizations.weight_norm(nn.Conv2d(*sizes)),
    "method": MadeConv,
    "around": lambda *sizes: Around(nn.Conv2d(*sizes)),
}
wrappers = pytest.mark.parametrize("name", list(WRAPPERS))
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


def network(name: str) -> nn.Sequential:
    """After a step of training, with a history of gradients, and a state that was loaded."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(WRAPPERS[name](2, 4, 3), nn.ReLU(), WRAPPERS[name](4, 3, 3))
        model(torch.randn(1, 2, 8, 8)).sum().backward()
        model.load_state_dict({k: v + 0.1 for k, v in model.state_dict().items()})
    return model


IMAGE = torch.linspace(-1, 1, 2 * 2 * 8 * 8).view(2, 2, 8, 8)


@wrappers
@pytest.mark.parametrize("training", [True, False])
def test_the_plain_copy_computes_the_same_from_plain_parameters(name: str, training: bool) -> None:
    model = network(name).train(training)
    copied = plain_copy(model)
    assert not is_plain(model) and is_plain(copied)
    assert copied.training is training
    assert all(isinstance(layer.weight, nn.Parameter) for layer in prunable_layers(copied).values())
    assert [type(layer) for layer in prunable_layers(copied).values()] == [nn.Conv2d, nn.Conv2d]
    suffixes = {key.rpartition(".")[2] for key in copied.state_dict()}
    assert suffixes == {"weight", "bias"}
    torch.testing.assert_close(copied.eval()(IMAGE), model.eval()(IMAGE), rtol=0, atol=1e-6)


@wrappers
def test_copying_leaves_the_original_as_it_was(name: str) -> None:
    model = network(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plain_copy(model)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model(IMAGE).sum().backward()


@wrappers
def test_the_state_of_one_plain_copy_loads_into_another(name: str) -> None:
    one, other = plain_copy(network(name)).eval(), plain_copy(network(name)).eval()
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(one.state_dict(), strict=True)
    assert torch.equal(one(IMAGE), other(IMAGE))


@wrappers
def test_the_plain_copy_trains_as_any_network(name: str) -> None:
    copied = plain_copy(network(name)).train()
    copied(IMAGE).square().sum().backward()
    for layer in prunable_layers(copied).values():
        assert layer.weight.requires_grad and layer.weight.grad is not None


def test_a_plain_network_is_not_copied() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    assert plain(model) is model


@wrappers
def test_a_mask_on_a_normalised_weight_lasts(name: str) -> None:
    model = network(name).eval()
    strategy = Strategy("test", l1, weight, global_)
    ranking = strategy.rank(Context(model, (IMAGE,), torch.Generator().manual_seed(0)))
    pruned = ranking.cut(0.5, "params").apply(model)
    pruned.generator(IMAGE)
    zeros = sum(int((w == 0).sum()) for _, w in named_weights(pruned.generator))
    assert zeros == round(0.5 * sum(w.numel() for _, w in named_weights(pruned.generator)))
    expected = copy.deepcopy(plain_copy(model))
    for layer, mask in pruned.masks.items():
        expected.get_submodule(layer).weight.data.mul_(mask)
    assert torch.equal(pruned.generator(IMAGE), expected(IMAGE))


@wrappers
def test_holding_weights_that_will_be_made_anew_is_refused(name: str) -> None:
    model: Any = network(name).eval()
    removal = (
        Strategy("test", l1, weight, global_)
        .rank(Context(model, (IMAGE,), torch.Generator().manual_seed(0)))
        .cut(0.5, "params")
    )
    with pytest.raises(ValueError, match="normalises weights before each forward pass"):
        removal.hold(model)
