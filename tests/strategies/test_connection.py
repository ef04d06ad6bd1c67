"""Connections by hand: where ranges of channels begin and end, what a part is worth, and what goes first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import Allocation, Layout, global_
from strategies.base import Infeasible, NotApplicable
from strategies.criteria import l1
from strategies.granularity.connection import ConnectionGranularity, ConnectionRanking, _Watch, concatenated
from strategies.granularity.weight import WeightRemoval
from tests.strategies.nets import context

Join = Callable[[Tensor, Tensor], Tensor]


def joined(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], 1)


class Joined(nn.Module):
    """``read`` takes 2 channels of ``one`` and 3 of ``other``, and ``last`` all 4 that ``read`` makes."""

    def __init__(self, join: Join = joined, groups: int = 1) -> None:
        super().__init__()
        self.join = join
        self.one, self.other = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(1, 3, 1, bias=False)
        self.read = nn.Conv2d(5, 5, 1, bias=False, groups=groups)
        self.last = nn.Conv2d(5, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.read(self.join(self.one(x), self.other(x))))


X = (torch.ones(2, 1, 4, 4),)


@pytest.mark.parametrize(
    ("join", "ranges"),
    [
        (joined, ((0, 2), (2, 5))),
        (lambda a, b: torch.cat([b, a], dim=1), ((0, 3), (3, 5))),
        (lambda a, b: torch.cat(tensors=(a, b), dim=-3), ((0, 2), (2, 5))),
        (lambda a, b: torch.concat([a, b], -3), ((0, 2), (2, 5))),
        (lambda a, b: torch.relu(torch.concatenate([a, b], 1)), ((0, 2), (2, 5))),
        (lambda a, b: torch.cat([torch.cat([a, b[:, :1]], 1), b[:, 1:]], 1), ((0, 2), (2, 3), (3, 5))),
        (lambda a, b: torch.cat([b[:, 2:], torch.cat([a, b[:, :2]], 1)], 1), ((0, 1), (1, 3), (3, 5))),
        (lambda a, b: 2 * torch.cat([a, b], 1), ((0, 2), (2, 5))),
        (lambda a, b: torch.cat([a, b, b], 1)[:, :5], None),  # another number of channels: a selection of any kind
        (lambda a, b: torch.cat([torch.cat([a, b], 1)] * 2, 0), None),
        (lambda a, b: torch.cat([torch.cat([a, b], 1)] * 2), None),
        (lambda a, b: torch.cat([torch.cat([a, b], 1)] * 2, 2), None),
        (lambda a, b: torch.nn.functional.conv2d(torch.cat([a, b], 1), torch.eye(5)[:, :, None, None]), None),
    ],
)
def test_where_the_ranges_of_a_concatenation_lie(join: Join, ranges: tuple[tuple[int, int], ...] | None) -> None:
    assert concatenated(Joined(join), X) == ({"read": ranges} if ranges else {})


def test_a_vector_has_one_channel_and_a_batch_as_many_as_its_second_dimension() -> None:
    watch = _Watch()
    assert watch.ranges(torch.ones(7)) == ((0, 1),)
    assert watch.ranges(torch.ones(4, 7)) == ((0, 7),)
    assert watch.ranges(torch.ones(4, 7, 3)) == ((0, 7),)


def test_vectors_are_joined_along_their_second_dimension_too() -> None:
    class Vectors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.read = nn.Linear(3, 4), nn.Linear(7, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.read(torch.cat([x, self.one(x)], 1))

    assert concatenated(Vectors(), (torch.ones(2, 3),)) == {"read": ((0, 3), (3, 7))}


def test_a_grouped_layer_reads_otherwise() -> None:
    assert concatenated(Joined(groups=1), X) and concatenated(Joined(groups=5), X) == {}


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_layer_that_is_called_again_has_no_connections(times: int) -> None:
    class Again(Joined):
        def forward(self, x: Tensor) -> Tensor:
            x = self.join(self.one(x), self.other(x))
            for _ in range(times):
                x = torch.cat([self.read(x)[:, :2], x[:, 2:]], 1)
            return self.last(x)

    found = concatenated(Again(), X)
    assert found.get("read") == (((0, 2), (2, 5)) if times == 1 else None)
    assert found["last"] == ((0, 2), (2, 5))


@pytest.mark.parametrize("plain_first", [True, False])
def test_a_layer_that_reads_a_plain_input_once_has_no_connections(plain_first: bool) -> None:
    class Both(Joined):
        def forward(self, x: Tensor) -> Tensor:
            plain, parts = x.expand(-1, 5, -1, -1), self.join(self.one(x), self.other(x))
            first, second = (plain, parts) if plain_first else (parts, plain)
            return self.last(self.read(first) + self.read(second))

    assert concatenated(Both(), X) == {}


class Two(nn.Module):
    """Means of |weights|: ``a`` 3 and 1, ``b`` 2 and 5 and 4."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 2, 1, bias=False), nn.Conv2d(5, 2, 1, bias=False)
        with torch.no_grad():
            self.a.weight.copy_(torch.tensor([[2.0, 1.0, -1.0], [-4.0, 1.0, -1.0]])[:, :, None, None])
            self.b.weight.copy_(torch.tensor([[2.0, -2.0, 5.0, 3.0, 3.0], [2.0, 2.0, -5.0, 5.0, 5.0]])[..., None, None])

    def forward(self, x: Tensor) -> Tensor:
        made = self.a(torch.cat([x, x, -x], 1))
        return self.b(torch.cat([made, x, torch.cat([x, x], 2)[:, :, :4].repeat(1, 2, 1, 1)], 1))


PARTS = {"a": ((0, 1), (1, 2), (2, 3)), "b": ((0, 2), (2, 3), (3, 5))}


def rank(after: WeightRemoval | None = None, allocation: Allocation = global_) -> ConnectionRanking:
    return ConnectionGranularity().rank(context(Two(), X), l1, allocation, after)


def held(**zeros: list[int]) -> WeightRemoval:
    model = Two()
    masks = {name: torch.ones_like(getattr(model, name).weight, dtype=torch.bool) for name in ("a", "b")}
    for name, columns in zeros.items():
        masks[name][:, columns] = False
    return WeightRemoval(masks, context(model, X).work)


def test_parts_go_by_their_mean_and_the_best_of_each_layer_stays() -> None:
    assert concatenated(Two(), X) == PARTS
    ranking = rank()
    assert ranking.order == (("a", 1, 2), ("a", 2, 3), ("b", 0, 2), ("b", 3, 5))
    assert ranking.priorities.tolist() == [1.0, 1.0, 2.0, 4.0]
    assert ranking.dims == {"a": 1, "b": 1}


def test_the_shares_are_those_of_the_weights_that_are_gone() -> None:
    assert rank().shares["params"].tolist() == pytest.approx([0, 2 / 16, 4 / 16, 8 / 16, 12 / 16])


@pytest.mark.parametrize(("value", "gone"), [(0.9, 0), (1.0, 0), (1.1, 2), (2.0, 2), (2.1, 3), (4.0, 3), (9.0, 4)])
def test_what_is_below_a_value_goes_and_what_equals_it_stays(value: float, gone: int) -> None:
    expected = np.zeros(5, bool)
    masks = rank().at(value).masks
    assert masks["a"].all(0).flatten().tolist() == [True, gone < 1, gone < 2]
    expected[:2], expected[3:] = gone >= 3, gone >= 4
    assert masks["b"].any(0).flatten().tolist() == (~expected).tolist()


def test_a_target_takes_the_nearest_number_of_parts() -> None:
    cut = [rank().cut(share, "params").sparsity("params") for share in (0.05, 0.07, 0.37, 0.38, 0.75)]
    assert cut == pytest.approx([0, 2 / 16, 4 / 16, 8 / 16, 12 / 16])
    with pytest.raises(Infeasible):
        rank().cut(0.76, "params")


def test_what_was_removed_before_goes_first_if_all_of_it_is_gone() -> None:
    assert rank(held(b=[3, 4])).order == (("b", 3, 5), ("a", 1, 2), ("a", 2, 3), ("b", 0, 2))
    assert rank(held(b=[3, 4])).priorities.tolist() == [-np.inf, 1.0, 1.0, 2.0]
    assert rank(held(b=[3])).order == rank().order
    assert rank(held(b=[2])).order[0] == ("b", 2, 3) and ("b", 3, 5) not in rank(held(b=[2])).order


def test_an_allocation_is_given_the_means_and_networks_without_some_parts() -> None:
    seen = {}

    def prioritise(scores: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
        seen.update({name: values.tolist() for name, values in scores.items()})
        assert layout.shapes == {"a": (2, 3, 1, 1), "b": (2, 5, 1, 1)}
        model = layout.without("b", torch.tensor([0, 2]))
        seen["weight"] = model.get_parameter("b.weight").detach().flatten(1).tolist()
        seen["a is whole"] = torch.equal(model.get_parameter("a.weight"), Two().a.weight)
        return {name: -values for name, values in scores.items()}

    ranking = rank(allocation=Allocation("turned", prioritise, "-s"))
    assert seen["a"] == [3.0, 1.0, 1.0] and seen["b"] == [2.0, 5.0, 4.0]
    assert seen["weight"] == [[0, 0, 5, 0, 0], [0, 0, -5, 0, 0]] and seen["a is whole"]
    assert ranking.order == (("b", 2, 3), ("b", 3, 5), ("a", 0, 1), ("a", 1, 2))  # of equal ones the last stays


def test_a_network_without_a_concatenation_is_refused() -> None:
    with pytest.raises(NotApplicable, match="no layer reads a concatenation"):
        ConnectionGranularity().rank(context(Joined(lambda a, b: a.repeat(1, 3, 1, 1)[:, :5]), X), l1, global_)
