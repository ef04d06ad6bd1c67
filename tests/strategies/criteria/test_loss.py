"""Criteria of the adversarial loss against values worked out by hand; see `hand` for the network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.workloads.networks import DummyDiscriminator
from strategies.base import Context, Criterion, MissingData
from strategies.criteria import dguided, fisher, grad, grasp, hybrid, snip, taylor
from strategies.criteria.gradients import adversarial_loss, input_batches
from tests.strategies.criteria.hand import KINDS, Z1, Z2, Net, S, channels_of, context, weights_of
from tests.strategies.nets import generator

# With Z1 alone: dL/dV = -S relu(W z) = -S (5, 3, 0); dL/dW_c = -S V_c z where unit c is on:
G_FIRST = S * torch.tensor([[-0.5, -0.5], [0.25, 0.25], [0.0, 0.0]])
G_LAST = S * torch.tensor([[-5.0, -3.0, 0.0]])


def close(found: Tensor, expected: Tensor | list[list[float]]) -> None:
    wanted = torch.as_tensor(expected).double()
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_grad_is_the_gradients_magnitude(kind: str) -> None:
    scores = weights_of(grad, context(Net(kind)))
    close(scores["first"], G_FIRST.abs())
    close(scores["last"], G_LAST.abs())


@pytest.mark.parametrize("kind", KINDS)
def test_grad_of_a_channel_is_the_norm_of_its_filters_gradient(kind: str) -> None:
    expected = [0.5 * S * math.sqrt(2), 0.25 * S * math.sqrt(2), 0.0]
    assert channels_of(grad, context(Net(kind))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_snip_is_the_magnitude_of_weight_times_gradient(kind: str) -> None:
    scores = weights_of(snip, context(Net(kind)))
    close(scores["first"], S * torch.tensor([[0.5, 2.0], [0.5, 1.25], [0.0, 0.0]]))
    close(scores["last"], S * torch.tensor([[2.5, 0.75, 0.0]]))
    assert channels_of(snip, context(Net(kind))) == pytest.approx([2.5 * S, 1.75 * S, 0.0], rel=1e-5)


def test_snip_takes_the_mean_gradient_first() -> None:
    # With Z2: dL/dW = -S (.5, 0, .125) x (2, 0). Mean with G_FIRST: -S (.5 1.5, .5 .5; -.125, -.125; .125, 0).
    scores = weights_of(snip, context(Net(), Z1, Z2))
    close(scores["first"], S * torch.tensor([[0.75, 1.0], [0.25, 0.625], [0.375, 0.0]]))


@pytest.mark.parametrize("kind", KINDS)
def test_taylor_of_a_weight_is_the_square_of_weight_times_gradient(kind: str) -> None:
    scores = weights_of(taylor, context(Net(kind)))
    close(scores["first"], S**2 * torch.tensor([[0.25, 4.0], [0.25, 1.5625], [0.0, 0.0]]))


@pytest.mark.parametrize("kind", KINDS)
def test_taylor_of_a_channel_squares_the_sum(kind: str) -> None:
    # sum w g: -.5 S (1 + 4) = -2.5 S; .25 S (-2 + 5) = .75 S; 0
    assert channels_of(taylor, context(Net(kind))) == pytest.approx([6.25 * S**2, 0.5625 * S**2, 0.0], rel=1e-5)


def test_taylor_is_the_mean_over_batches_of_the_square() -> None:
    # Batches of Z1 alone and of Z2 alone: channel 0 has -2.5 S and -.5 S 2 = -S; (6.25 + 1) / 2 = 3.625.
    found = channels_of(taylor, context(Net(), Z1, Z2, each=32))
    # Channel 1: .75 S and 0. Channel 2: 0 and -.125 S 6 = -.75 S.
    assert found == pytest.approx([3.625 * S**2, 0.28125 * S**2, 0.28125 * S**2], rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_dguided_is_taylor_with_the_logit(kind: str) -> None:
    # L = -x: as Taylor's, with 1 for S.
    assert channels_of(dguided, context(Net(kind))) == pytest.approx([6.25, 0.5625, 0.0], rel=1e-5)
    close(weights_of(dguided, context(Net(kind)))["last"], [[6.25, 0.5625, 0.0]])


@pytest.mark.parametrize("kind", KINDS)
def test_fisher_takes_the_square_of_each_samples_gradient(kind: str) -> None:
    # E[g^2] over Z1, Z2, in S^2: W_0: .25 (1 + 4, 1 + 0) / 2 = (.625, .125); W_1: .0625 (1, 1) / 2 = .03125;
    # W_2: .015625 (0 + 4, 0) / 2 = (.03125, 0). Times w^2 / 2:
    expected = [[0.3125, 1.0], [0.0625, 0.390625], [0.140625, 0.0]]
    found = context(Net(kind), Z1, Z2)
    close(weights_of(fisher, found)["first"], S**2 * torch.tensor(expected))
    sums = [1.3125 * S**2, 0.453125 * S**2, 0.140625 * S**2]
    assert channels_of(fisher, context(Net(kind), Z1, Z2)) == pytest.approx(sums, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_grasp_is_the_weight_times_hessian_times_gradient(kind: str) -> None:
    # One hidden unit, x = v w z with w = 2, v = .5, z = 1, so x = 1.
    # f' = -sigmoid(-1), f'' = sigmoid(1) sigmoid(-1),
    # g = f' (v, w); H = f'' (v, w)(v, w)' + f' [[0, 1], [1, 0]]
    # Hg = f' f'' (v^2 + w^2) (v, w) + f'^2 (w, v)
    w, v = 2.0, 0.5
    one = -1 / (1 + math.e)
    two = -one * (1 + one)
    bend = one * two * (v**2 + w**2)
    model = Net(kind, torch.tensor([[w]]), torch.tensor([[v]]))
    scores = weights_of(grasp, context(model, (1.0,)))
    assert float(scores["first"]) == pytest.approx(w * (bend * v + one**2 * w), rel=1e-5)
    assert float(scores["last"]) == pytest.approx(v * (bend * w + one**2 * v), rel=1e-5)


def test_grasp_is_low_where_removing_a_weight_makes_the_gradient_grow() -> None:
    """To first order ``g'g / 2`` changes by ``-score`` when the weight goes; a step of .1 % of the weight shows it."""
    model = Net()
    scores = weights_of(grasp, context(model))

    def flow(scale: float) -> float:
        smaller = copy.deepcopy(model).double()
        with torch.no_grad():
            smaller.first.weight[0, 1] *= scale
        out = smaller(torch.tensor([Z1]).double())
        found = torch.autograd.grad(functional.softplus(-out).mean(), list(smaller.parameters()))
        return sum(float((g**2).sum()) for g in found) / 2

    slope = (flow(1 + 1e-3) - flow(1 - 1e-3)) / 2e-3
    assert float(scores["first"][0, 1]) == pytest.approx(slope, rel=1e-4)


def test_hybrid_is_the_mean_of_the_two_ranks() -> None:
    # |w| in ascending order: .125 .25 .5 1 2 3 4 5 6, the k-th has the rank (k + .5) / 9.
    # |g| / S: three zeros (places 0 to 2, middle 1.5), .25 twice (middle 4), .5 twice (middle 6), 3 (7.5), 5 (8.5).
    scores = weights_of(hybrid, context())
    large = torch.tensor([[3.5, 6.5], [4.5, 7.5], [5.5, 8.5]])
    steep = torch.tensor([[6.0, 6.0], [4.0, 4.0], [1.5, 1.5]])
    close(scores["first"], (large + steep) / 18)
    close(scores["last"], (torch.tensor([[2.5, 1.5, 0.5]]) + torch.tensor([[8.5, 7.5, 1.5]])) / 18)
    assert channels_of(hybrid, context()) == pytest.approx([22 / 18, 20 / 18, 17 / 18])


def test_hybrid_does_not_change_when_weights_or_logits_are_scaled() -> None:
    once = weights_of(hybrid, context())
    scaled = Net()
    with torch.no_grad():  # 4 is exact in floating point; V / 4 keeps the output
        scaled.first.weight.mul_(4.0)
        scaled.last.weight.div_(4.0)
    twice = weights_of(hybrid, context(scaled))
    # Gradients of the first layer go down by 4, those of the last up: within a layer the two rankings stay.
    assert torch.equal(once["first"].flatten().argsort(), twice["first"].flatten().argsort())


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "taylor": lambda logits: functional.softplus(-logits).mean(),
    "dguided": lambda logits: -logits.mean(),
}


@pytest.mark.parametrize("criterion", [taylor, dguided])
@pytest.mark.parametrize(("name", "dim", "channel"), [("net.0", 1, 3), ("net.3", 0, 7)])
def test_taylor_of_a_channel_is_what_a_shrinking_filter_costs(
    criterion: Criterion, name: str, dim: int, channel: int
) -> None:
    """By finite differences on the same batches: the filter made larger and smaller by a millionth, in float64."""
    found = dummy_context()
    score = float(criterion.of_channels(criterion(found)[name], dim)[channel])
    assert found.discriminator is not None
    judge = copy.deepcopy(found.discriminator).double()

    def loss(batch: tuple[Tensor, ...], scale: float) -> float:
        model = copy.deepcopy(found.generator).double()
        with torch.no_grad():
            model.get_submodule(name).weight.select(dim, channel).mul_(scale)
            return float(LOSSES[criterion.name](judge(model(batch[0].double()))))

    e = 1e-6
    slopes = [(loss(batch, 1 + e) - loss(batch, 1 - e)) / (2 * e) for batch in input_batches(dummy_context())]
    assert score == pytest.approx(sum(slope**2 for slope in slopes) / len(slopes), rel=1e-4)


def dummy_context(seed: int = 3) -> Context:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = DummyDiscriminator()

    def draw(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(count, 8, generator=rng),)

    rng = torch.Generator().manual_seed(seed)
    return Context(generator("dummy"), (torch.zeros(1, 8),), rng, draw, discriminator=judge)


@pytest.mark.parametrize("criterion", [grad, snip, taylor, dguided, fisher, grasp, hybrid])
def test_without_a_discriminator_the_mistake_is_named(criterion: Criterion) -> None:
    with pytest.raises(MissingData, match="no discriminator"):
        criterion(context(judge=False))


def test_a_certain_discriminator_gives_no_infinite_loss() -> None:
    class Certain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten() * 0 - 1e4

    found = context()
    judged = Context(found.generator, found.example_inputs, found.rng, found.draw_inputs, discriminator=Certain())
    assert float(adversarial_loss(judged)(torch.ones(2, 1), ())) == pytest.approx(1e4)
