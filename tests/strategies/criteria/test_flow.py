"""SynFlow: hand-worked flows and orders, conservation, and that no layer collapses."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import global_
from strategies.base import Scores
from strategies.criteria import l1, synflow
from strategies.criteria.flow import flow, linear, ones, smallest
from strategies.granularity.weight import weight
from tests.strategies.criteria.hand import KINDS, Net, context, layer, weights_of
from tests.strategies.nets import FACTORIES, context_of

W = torch.tensor([[1.0, -2.0], [3.0, 4.0]])
V = torch.tensor([[5.0, -6.0]])
NETWORKS = [name for name in FACTORIES if name != "residual"]
"""Layers in a row: of a residual network no single layer carries all of the flow."""


def flow_of(model: nn.Module) -> Scores:
    found = context(model)
    return flow(linear(found), ones(found))


@pytest.mark.parametrize("kind", KINDS)
def test_the_flow_through_a_weight(kind: str) -> None:
    # Ones in: the hidden units get |1| + |2| = 3 and 7; R = 5 x 3 + 6 x 7 = 57. First layer: 5 (1, 2), 6 (3, 4).
    found = flow_of(Net(kind, W, V))
    first = found["first"].flatten(1).reshape(2, 2)
    assert (first.T if kind == "transposed" else first).tolist() == [[5.0, 10.0], [18.0, 24.0]]
    assert found["last"].flatten().tolist() == [15.0, 42.0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_removal_scored_again_after_each_weight(kind: str) -> None:
    # Six weights and two layers: 6 (1/3)^(k/100) never loses more than one in a round.
    # 5 goes; then R = 5 x 2 + 6 x 7 and the flows are 10 | 18 24 | 10 42: of the two paths of 10, the first layer's
    # goes; that leaves unit 0 without input, so its output (now 0) goes; then 18 of | 18 24 | 42.
    # Left are 24 | 24, one in each layer.
    scores = weights_of(synflow, context(Net(kind, W, V)))
    assert (scores["first"] * 6).flatten().tolist() == pytest.approx([1, 2, 4, 5])
    assert (scores["last"] * 6).flatten().tolist() == pytest.approx([3, 6])


def test_a_dead_end_goes_as_soon_as_it_is_one() -> None:
    """Scored once, the output of unit 0 (15) would outlive an input of unit 1 (12), with nothing left to put out."""
    uneven = Net("linear", torch.tensor([[1.0, -2.0], [1.5, 2.0]]), V)
    # Flows: 5 10 | 9 12 | 15 21. Once: 5 9 10 12 15 21. In rounds: 5; then 10 | 9 12 | 10 21, so 9;
    # then 10 | 12 | 10 12, so the first 10; unit 0 is dead, so its output before 12 | 12.
    scores = weights_of(synflow, context(uneven))
    assert (scores["first"] * 6).flatten().tolist() == pytest.approx([1, 3, 2, 5])
    assert (scores["last"] * 6).flatten().tolist() == pytest.approx([4, 6])


def test_biases_activations_and_shifts_are_left_out_and_the_norms_scale_stays() -> None:
    model = Net("linear", W, V)
    model.first, norm = nn.Linear(2, 2), nn.BatchNorm1d(2, eps=0.0)
    with torch.no_grad():
        model.first.weight.copy_(W)
        model.first.bias.fill_(100.0)
        norm.weight.copy_(torch.tensor([-1.0, 3.0]))
        norm.bias.fill_(50.0)
        norm.running_mean.fill_(7.0)
        norm.running_var.copy_(torch.tensor([4.0, 1.0]))
    model.act = nn.Sequential(norm, nn.Tanh())
    # The norm is 1 / 2 and 3: R = 5 x 3 / 2 + 6 x 7 x 3 = 7.5 + 126.
    assert flow_of(model)["last"].flatten().tolist() == pytest.approx([7.5, 126.0])


def test_plain_functions_are_left_out_as_well() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = layer("linear", W), layer("linear", V)

        def forward(self, z: Tensor) -> Tensor:
            x = nn.functional.leaky_relu(input=torch.tanh(self.first(z)), negative_slope=0.2)
            return self.last(x.sigmoid()).tanh()

    assert flow_of(Plain())["last"].flatten().tolist() == [15.0, 42.0]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_carries_the_whole_flow(name: str) -> None:
    """Tanaka et al. 2020, theorem 2: the scores of each layer that cuts the network in two add up to R."""
    found = context_of(name)
    net = linear(found)
    totals = [float(values.sum()) for values in flow(net, ones(found)).values()]
    assert totals[0] > 0 and totals == pytest.approx([totals[0]] * len(totals), rel=1e-12)


def test_what_flows_into_a_unit_flows_out_of_it() -> None:
    """Theorem 1, for the hidden units of an MLP."""
    found = context_of("mlp")
    flows = list(flow(linear(found), ones(found)).values())
    for before, after in itertools.pairwise(flows):
        torch.testing.assert_close(before.sum(1), after.sum(0), rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_layer_collapses_before_it_must(name: str) -> None:
    """Theorem 3: down to a few weights a layer, every layer keeps some, where magnitude leaves one empty."""
    ranking = weight.rank(context_of(name), synflow, global_)
    total = len(ranking.order)
    for left in (total // 10, total // 50, 3 * len(ranking.shapes)):
        removal = ranking.cut(1 - left / total, "params")
        assert all(mask.any() for mask in removal.masks.values()), left


def test_magnitude_collapses_where_synflow_does_not() -> None:
    model = Net("linear", torch.full((8, 8), 0.01), torch.full((1, 8), 1.0))
    inputs = context(model, (1.0,) * 8)
    emptied = {c.name: weight.rank(inputs, c, global_).cut(0.9, "params").masks for c in (l1, synflow)}
    assert not emptied["l1"]["first"].any()
    assert emptied["synflow"]["first"].any() and emptied["synflow"]["last"].any()


def test_the_places_are_a_permutation() -> None:
    scores = synflow(context_of("dummy"))
    joined = torch.cat([values.flatten() for values in scores.values()])
    expected = torch.arange(1, len(joined) + 1, dtype=torch.float64) / len(joined)
    assert torch.equal(joined.sort().values, expected)


def test_scaling_a_layer_changes_no_order() -> None:
    """All flows are scaled alike, whichever layer it is."""
    once = weights_of(synflow, context(Net("linear", W, V)))
    twice = weights_of(synflow, context(Net("linear", 4 * W, V)))
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_labels_stay_what_they_are() -> None:
    found = context()
    object.__setattr__(found, "example_inputs", (torch.zeros(2, 3), torch.tensor([4, 5])))
    latents, labels = ones(found)
    assert latents.tolist() == [[1.0, 1.0, 1.0]] and labels.tolist() == [4]


@pytest.mark.parametrize("count", [1, 7, 50, 199, 200])
def test_the_smallest_are_those_of_a_stable_sort(count: int) -> None:
    values = torch.randint(0, 20, (200,), generator=torch.Generator().manual_seed(count)).double()
    assert torch.equal(smallest(values, count), torch.argsort(values, stable=True)[:count])
