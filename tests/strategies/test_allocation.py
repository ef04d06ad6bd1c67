"""How scores become priorities that are compared over layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from strategies.allocation import Allocation, global_, global_mean, uniform
from tests.strategies.nets import layout_of

SCORES = {"a": torch.tensor([3.0, 1.0, 2.0]), "b": torch.tensor([30.0, 10.0])}


LAYOUT = layout_of(nn.Identity())


def order(allocation: Allocation, scores: dict[str, Tensor]) -> list[tuple[str, int]]:
    priorities = allocation(scores, LAYOUT)
    units = [(float(v), name, k) for name, values in priorities.items() for k, v in enumerate(values)]
    return [(name, k) for _, name, k in sorted(units)]


def test_global_compares_scores_as_they_are() -> None:
    assert {k: v.tolist() for k, v in global_(SCORES, LAYOUT).items()} == {"a": [3.0, 1.0, 2.0], "b": [30.0, 10.0]}
    assert order(global_, SCORES) == [("a", 1), ("a", 2), ("a", 0), ("b", 1), ("b", 0)]


def test_global_mean_divides_by_the_mean_of_each_group() -> None:
    assert {k: v.tolist() for k, v in global_mean(SCORES, LAYOUT).items()} == {"a": [1.5, 0.5, 1.0], "b": [1.5, 0.5]}


def test_global_mean_does_not_care_how_large_the_scores_of_a_group_are() -> None:
    scaled = {"a": SCORES["a"] * 1024, "b": SCORES["b"] / 64}
    assert {k: v.tolist() for k, v in global_mean(scaled, LAYOUT).items()} == {
        k: v.tolist() for k, v in global_mean(SCORES, LAYOUT).items()
    }


def test_global_mean_of_a_group_without_any_importance_is_zero() -> None:
    assert global_mean({"a": torch.zeros(3)}, LAYOUT)["a"].tolist() == [0.0, 0.0, 0.0]


def test_uniform_is_the_quantile_within_the_layer() -> None:
    priorities = uniform(SCORES, LAYOUT)
    assert priorities["a"].tolist() == pytest.approx([2.5 / 3, 0.5 / 3, 1.5 / 3])
    assert priorities["b"].tolist() == [0.75, 0.25]


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0, 1), st.integers(0, 1000))
def test_uniform_takes_the_same_share_of_each_layer_within_one_unit(sizes: list[int], share: float, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    scores = {str(k): torch.rand(n, generator=rng) * 10**k for k, n in enumerate(sizes)}
    first = order(uniform, scores)[: round(share * sum(sizes))]
    reached = len(first) / sum(sizes)
    for name, values in scores.items():
        gone = sum(layer == name for layer, _ in first)
        assert abs(gone - reached * len(values)) <= 1


@pytest.mark.parametrize("allocation", [global_, global_mean, uniform], ids=lambda a: a.name)
def test_the_order_within_a_layer_is_that_of_the_scores(allocation: Allocation) -> None:
    scores = torch.rand(20, generator=torch.Generator().manual_seed(0))
    priorities = allocation({"a": scores}, LAYOUT)["a"]
    assert torch.equal(priorities.argsort(), scores.argsort())


@pytest.mark.parametrize("allocation", [global_, global_mean, uniform], ids=lambda a: a.name)
def test_the_scores_stay_as_they_were(allocation: Allocation) -> None:
    scores = {"a": torch.tensor([3.0, 1.0], dtype=torch.float64)}
    allocation(scores, LAYOUT)
    assert scores["a"].tolist() == [3.0, 1.0]


def test_two_normalisations_have_two_formulas() -> None:
    """`bench.keys` tells allocations apart by their formula."""
    assert len({a.formula for a in (global_, global_mean, uniform)}) == 3
