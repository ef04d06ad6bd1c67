"""What is fitted, what is left alone, and that nothing gets further from dense."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.base.batchnorm import recalibrate
from strategies.base import Context, Pruned
from strategies.builtin import STRATEGIES
from strategies.compensation import Compensated, compensate
from strategies.compensation.watched import order, passed
from strategies.layers import named_weights
from strategies.slicing import shrink


def drawing(*size: int, seed: int = 0) -> Any:
    rng = torch.Generator().manual_seed(seed)
    return lambda count: (torch.randn(count, *size, generator=rng),)


def fitted(dense: nn.Module, pruned: Pruned, *size: int) -> tuple[nn.Module, Compensated]:
    draw = drawing(*size)
    statistics = draw(256)
    network = replace(pruned, generator=copy.deepcopy(pruned.generator).eval())
    found = compensate(dense.eval(), network, draw, lambda model: recalibrate(model, [statistics]) and None)
    return network.generator, found


def pruned(model: nn.Module, strategy: str, sparsity: float, *size: int) -> Pruned:
    context = Context(model.eval(), (torch.randn(2, *size),), torch.Generator().manual_seed(0))
    return STRATEGIES[strategy].rank(context).cut(sparsity, "params").apply(model)


def mlp(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def test_a_removed_twin_is_made_up_for() -> None:
    """Two channels are equal: without one of them, the weights that read the other are their sum."""
    dense = mlp(6, 4, 3)
    with torch.no_grad():
        dense[0].weight[3] = dense[0].weight[1]
        dense[0].bias[3] = dense[0].bias[1]
    kept = {"0": {"out": torch.tensor([0, 1, 2])}, "2": {"in": torch.tensor([0, 1, 2])}}
    small = Pruned(shrink(dense, kept), (), kept=kept)
    made, found = fitted(dense, small, 6)
    assert found.fitted == ("2",) and found.left == {"0": "puts out what it did"}
    weight = dense[2].weight
    torch.testing.assert_close(made[2].weight[:, 1], weight[:, 1] + weight[:, 3], atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(made[2].weight[:, 0], weight[:, 0], atol=2e-3, rtol=1e-3)
    assert found.after < 1e-4 * found.before


def test_a_removed_constant_goes_into_the_bias() -> None:
    """Mean replacement: W E[a] of what is always the same."""
    dense = mlp(6, 4, 3)
    with torch.no_grad():
        dense[0].weight[3] = 0
        dense[0].bias[3] = 2.0
    kept = {"0": {"out": torch.tensor([0, 1, 2])}, "2": {"in": torch.tensor([0, 1, 2])}}
    made, _ = fitted(dense, Pruned(shrink(dense, kept), (), kept=kept), 6)
    torch.testing.assert_close(made[2].bias, dense[2].bias + 2 * dense[2].weight[:, 3], atol=5e-3, rtol=1e-2)


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Unflatten(1, (8, 1, 1)),
        nn.ConvTranspose2d(8, 16, 4, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(16, 12, 4, 2, 1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(inplace=True),
        nn.Conv2d(12, 12, 3, padding=1, groups=12),
        nn.PReLU(12),
        nn.Conv2d(12, 2, 3, padding=1),
        nn.Tanh(),
    )


@pytest.mark.parametrize("strategy", ["l1-channel-uniform", "l1-weight-uniform", "random-weight-global", "l1-nm-2-4"])
def test_outputs_come_nearer_to_dense_and_what_is_gone_stays_gone(strategy: str) -> None:
    dense = convolutional().eval()
    recalibrate(dense, [drawing(8, seed=5)(256)])
    one = STRATEGIES[strategy]
    context = Context(dense, (torch.randn(2, 8),), torch.Generator().manual_seed(0))
    ranking = one.rank(context)
    cut = ranking.at(2.0) if strategy == "l1-nm-2-4" else ranking.cut(0.5, "params")
    start = cut.apply(dense)
    before = {name: weight.clone() for name, weight in named_weights(start.generator)}
    made, found = fitted(dense, start, 8)
    assert found.fitted and found.after < 0.7 * found.before
    for name, weight in named_weights(made):
        assert weight.shape == before[name].shape
        assert not weight[~start.masks.get(name, torch.ones_like(weight, dtype=torch.bool))].any()
        assert torch.equal(weight, before[name]) == (name not in found.fitted)
    assert all(
        torch.equal(a, b) for a, b in zip(before.values(), dict(named_weights(start.generator)).values(), strict=True)
    )


def test_the_dense_network_is_left_as_it_was() -> None:
    dense = convolutional().eval()
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    fitted(dense, pruned(dense, "l1-channel-uniform", 0.4, 8), 8)
    assert all(torch.equal(tensor, before[name]) for name, tensor in dense.state_dict().items())


def test_without_anything_removed_nothing_is_fitted() -> None:
    dense = convolutional().eval()
    recalibrate(dense, [drawing(8)(256)])
    _, found = fitted(dense, Pruned(copy.deepcopy(dense), ()), 8)
    assert not found.fitted and set(found.left.values()) == {"puts out what it did"}


def test_a_fit_has_the_variance_that_dense_has() -> None:
    """Half of the inputs of one layer are gone, and they are independent: the least squares explain half."""
    dense = nn.Sequential(nn.Identity(), nn.Linear(40, 6))
    start = Pruned(copy.deepcopy(dense), (), masks={"1": torch.ones(6, 40, dtype=torch.bool)})
    start.masks["1"][:, 20:] = False
    with torch.no_grad():
        start.generator[1].weight[:, 20:] = 0
    made, found = fitted(dense, start, 40)
    assert found.left.get("1") or torch.allclose(made[1].weight.norm(dim=1), dense[1].weight.norm(dim=1), rtol=0.1)


@pytest.mark.parametrize("broken", ["dense", "pruned"])
def test_where_outputs_are_no_numbers_nothing_is_fitted_and_nothing_raised(broken: str) -> None:
    dense = mlp(6, 6, 6)
    start = pruned(dense, "l1-weight-uniform", 0.5, 6)
    with torch.no_grad():
        (dense if broken == "dense" else start.generator)[0].weight[0, 0] = float("nan")
    before = {name: weight.clone() for name, weight in named_weights(start.generator)}
    made, found = fitted(dense, start, 6)
    assert found.after == float("inf") or broken == "pruned"
    if broken == "dense":
        assert not found.fitted
        assert all(torch.equal(weight, before[name]) for name, weight in named_weights(made))


def test_shared_weights_and_levels_are_not_touched() -> None:
    dense = mlp(6, 6, 6)
    tied = replace(pruned(dense, "l1-weight-uniform", 0.5, 6), tied={"2": "0"})
    made, found = fitted(dense, tied, 6)
    assert found.left == {"0": "shares its weight", "2": "shares its weight"}
    levels = replace(pruned(dense, "l1-weight-uniform", 0.5, 6), codes={"0": torch.zeros(6, 6, dtype=torch.uint8)})
    made, found = fitted(dense, levels, 6)
    assert found.left["0"] == "has weights on levels"
    assert torch.equal(made[0].weight, levels.generator[0].weight)


class Noisy(nn.Module):
    """Draws by itself, calls one layer twice and one not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.never, self.last = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.first(z) + 0.1 * torch.randn(len(z), 8))
        return torch.tanh(self.last(self.twice(torch.relu(self.twice(x)))))


def test_noise_is_common_and_what_is_called_twice_is_left_out() -> None:
    torch.manual_seed(0)
    dense = Noisy().eval()
    assert [place.name for place in order(dense, (torch.randn(2, 8),))] == ["first", "last"]
    state = torch.get_rng_state()
    _, found = fitted(dense, Pruned(copy.deepcopy(dense), ()), 8)
    assert found.before < 1e-12 and torch.equal(torch.get_rng_state(), state)


def test_what_a_layer_is_given_is_what_it_was_given() -> None:
    """Also where the next module works in place."""
    model = convolutional().eval()
    z = torch.randn(7, 8)
    seen = passed(model, "4", (z,), 3)
    torch.testing.assert_close(seen.given[0], model[:4](z))
    torch.testing.assert_close(seen.output, model[:5](z))
    assert [(p.name, p.positions, p.normed) for p in order(model, (z,))] == [
        ("1", 16, True), ("4", 64, True), ("7", 64, False), ("9", 64, False),
    ]  # fmt: skip
