"""Optimal Brain Compression's order: by hand, and its costs against least squares of another library."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from strategies.base import Context, NotApplicable
from strategies.compensation.columns import columns, weight_rows
from strategies.criteria import obc
from strategies.criteria.moments import damped_inverse, read_of
from strategies.criteria.obc import greedy_costs, independent, removal_costs, single_costs
from tests.strategies.criteria.hand import cycling

EXACT = 1e-9


def drawn(rows: int, n: int, out: int) -> tuple[Tensor, Tensor]:
    """Correlated columns, and a weight."""
    given = torch.Generator().manual_seed(0)
    x = torch.randn(rows, n, generator=given, dtype=torch.float64)
    return x @ torch.randn(n, n, generator=given, dtype=torch.float64), torch.randn(
        n, out, generator=given, dtype=torch.float64
    )


def context(model: nn.Module, rows: Tensor) -> Context:
    block = cycling(*(tuple(row) for row in rows.tolist()))
    return Context(model.eval(), (rows[:1],), torch.Generator().manual_seed(0), block)


def least(x: Tensor, y: Tensor, stay: Tensor) -> float:
    """Squared error over rows of the best fit of ``y`` by some columns, by LAPACK."""
    if not stay.any():
        return float(y.square().mean())
    fit = torch.linalg.lstsq(x[:, stay], y[:, None], driver="gelsd").solution
    return float((x[:, stay] @ fit - y[:, None]).square().mean())


def test_each_cost_is_what_the_least_squares_error_grows_by_and_no_other_weight_is_cheaper() -> None:
    x, weight = drawn(60, 7, 3)
    costs = greedy_costs(damped_inverse(x.T @ x / 60, EXACT), weight, at_once=1)
    for output in range(3):
        y = x @ weight[:, output]
        stay = torch.ones(7, dtype=torch.bool)
        before = highest = 0.0
        for q in costs[:, output].argsort().tolist():
            without = {k: least(x, y, stay & (torch.arange(7) != k)) for k in stay.nonzero().flatten().tolist()}
            assert min(without, key=lambda k: without[k]) == q
            highest = max(highest, without[q] - before)
            assert float(costs[q, output]) == pytest.approx(highest, rel=1e-4, abs=1e-9)
            before, stay[q] = without[q], False


def test_of_uncorrelated_inputs_the_cost_is_the_square_times_the_variance() -> None:
    scales = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
    weight = torch.tensor([[3.0], [-1.0], [0.5]], dtype=torch.float64)
    costs = greedy_costs(damped_inverse(torch.diag(scales), 0.0), weight, at_once=1)
    assert costs.flatten().tolist() == pytest.approx([9.0, 4.0, 2.25])


def test_one_of_two_twins_is_free_and_the_other_stands_for_both() -> None:
    """x = (a, a, b) with E[a^2] = E[b^2] = 1: magnitude removes .9 b, which costs .81; a twin of 1 a costs nothing."""
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    model = nn.Sequential(nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 1.0, 0.9]]))
    read = read_of(model, "0", (rows.repeat(100, 1),))
    found = removal_costs(read, damp=1e-8).flatten().tolist()
    assert sorted(found)[0] == pytest.approx(0, abs=1e-6) and found[2] == pytest.approx(0.81, rel=1e-4)
    assert max(found[:2]) == pytest.approx(4, rel=1e-4)


def test_scores_are_shares_of_the_variance_of_the_outputs() -> None:
    """Of two uncorrelated inputs of variance 1: w^2 / sum of w^2, whatever the scale of the layer."""
    rows = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    for scale in (1.0, 100.0):
        model = nn.Sequential(nn.Linear(2, 1, bias=False))
        with torch.no_grad():
            model[0].weight.copy_(scale * torch.tensor([[2.0, 1.0]]))
        found = obc(context(model, rows))["0"].flatten().tolist()
        assert found == pytest.approx([4 / 5, 1 / 5], rel=0.02)  # damped by a hundredth


def test_rounds_give_costs_that_their_own_order_has() -> None:
    """Candidates that become dear within a round wait: a twin of one that went is not taken for free."""
    x = torch.randn(200, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, weight = torch.cat([x, x], 1), drawn(200, 24, 4)[1].abs() + 0.5
    inverse = damped_inverse(x.T @ x / 200, 1e-4)
    one, rounds = greedy_costs(inverse, weight, at_once=1), greedy_costs(inverse, weight, at_once=6)
    assert torch.isfinite(rounds).all()
    assert all(len(set(column.tolist())) == 24 for column in rounds.T)  # no ties: an order
    # Twelve go for nearly nothing, one of each pair; the others do not.
    for found in (one, rounds):
        free = found.argsort(0)[:12] % 12
        assert all(len(set(column.tolist())) == 12 for column in free.T)
    torch.testing.assert_close(rounds.amax(0), one.amax(0), rtol=0.3, atol=0)


LAYERS = [
    (nn.Conv2d(2, 2, 2), (2, 4, 4)),
    (nn.ConvTranspose2d(2, 2, 2, 2), (2, 3, 3)),
    (nn.ConvTranspose2d(3, 2, 3), (3, 1, 1)),
]


@pytest.mark.parametrize(("layer", "size"), LAYERS)
def test_of_convolutions_all_costs_together_are_what_is_put_out(layer: nn.Module, size: tuple[int, ...]) -> None:
    """Without the running maximum the costs of an output add up to its energy: checked by the last least squares."""
    torch.manual_seed(0)
    model = nn.Sequential(layer.float())
    x = torch.randn(40, *size)
    read = read_of(model, "0", (x,))
    costs = removal_costs(read, damp=1e-6)
    assert torch.isfinite(costs).all() and costs.shape == layer.weight.shape
    for part in read.parts:
        energy = (columns(layer, x, part.which).double() @ part.weight).square().sum(0)
        total = weight_rows(layer, costs, part.which).sum(0)
        rows = layer(x).numel() / layer(x).shape[1]
        assert bool((total >= energy / rows * (1 - 1e-3)).all())


def test_a_grouped_convolution_has_the_diagonal() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 4, 1, groups=4, bias=False))
    x = torch.randn(30, 4, 2, 2)
    found = removal_costs(read_of(model, "0", (x,))).flatten()
    expected = model[0].weight.flatten().double() ** 2 * x.double().square().mean((0, 2, 3))
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=0)


def test_columns_that_never_meet_are_problems_by_themselves() -> None:
    moments = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 0.0, 2.0]], dtype=torch.float64)
    assert [part.tolist() for part in independent(moments)] == [[0, 2], [1]]


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.a(torch.relu(self.a(x)))
        return y


def test_a_layer_that_is_used_twice_is_refused() -> None:
    with pytest.raises(NotApplicable, match="a uses its weight several times"):
        obc(context(Twice(), torch.randn(4, 3)))


def test_the_cost_of_a_weight_alone_is_that_of_the_best_fit_without_it() -> None:
    x, weight = drawn(200, 6, 2)
    found = single_costs(torch.linalg.inv(x.T @ x / len(x)), weight)
    for q in range(6):
        stay = torch.arange(6) != q
        for k in range(2):
            assert float(found[q, k]) == pytest.approx(least(x, x @ weight[:, k], stay), rel=1e-9)
