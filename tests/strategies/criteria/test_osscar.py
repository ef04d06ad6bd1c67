"""Channels by what their readers lose at best: by hand, and against least squares of another library."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from strategies.base import Context, NotApplicable
from strategies.compensation.columns import columns, weight_rows
from strategies.criteria import osscar
from strategies.criteria.moments import Read, read_of
from strategies.criteria.osscar import group_costs
from strategies.granularity.coupling import Group, Member, couple
from tests.strategies.criteria.hand import KINDS, Net, channels_of, cycling
from tests.strategies.nets import generator, latents


def context(model: nn.Module, rows: Tensor) -> Context:
    block = cycling(*(tuple(row) for row in rows.tolist()))
    return Context(model.eval(), (rows[:2],), torch.Generator().manual_seed(0), block)


SIGNS = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_that_repeats_another_goes_first_however_large_it_is(kind: str) -> None:
    """Units relu(z1), relu(z1) and relu(z2), read by 2, 2 and 1: magnitude takes the third. With E[relu^2] = 1/2 and
    E[relu relu'] = 1/4 a twin is free; then the third costs 1/2 - (1/4)^2 / (1/2) = 3/8; the last 16/2 + ... all."""
    net = Net(kind, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 2.0, 1.0]]))
    # Outputs 5, 4, 1, 0: mean 2.5, variance 4.25. When all others are gone the first stands for them by 4.5 relu(z1).
    found = [4.25 * cost for cost in channels_of(osscar, context(net, SIGNS))]
    assert sorted(found)[0] == pytest.approx(0, abs=0.02)
    assert found[2] == pytest.approx(3 / 8, rel=0.01)
    assert max(found[:2]) == pytest.approx(4.5**2 / 2, rel=0.01)


def reader(name: str) -> tuple[nn.Module, tuple[Tensor, ...], Group]:
    model, inputs = generator(name), latents(name, 300)
    return model, inputs, couple(model, tuple(x[:2] for x in inputs)).groups[0]


def error(model: nn.Module, read: dict[str, Read], group: Group, x: dict[str, Tensor], gone: list[int]) -> float:
    """What all readers lose without the channels ``gone``, over the variance of their outputs, by LAPACK."""
    total = 0.0
    for member in group.members:
        if member.side != "in":
            continue
        one, layer = read[member.module], model.get_submodule(member.module)
        rows = layer(x[member.module]).numel() / layer.weight.shape[1 if "Transpose" in type(layer).__name__ else 0]
        for part in one.parts:
            every = columns(layer, x[member.module], part.which).double()
            inputs = member.indices[torch.isin(member.channels, torch.tensor(gone, dtype=torch.long))]
            stay = torch.ones(every.shape[1] // len(part.which.taps), dtype=torch.bool)
            stay[inputs] = False
            left = every[:, stay.repeat_interleave(len(part.which.taps))]
            wanted = every @ weight_rows(layer, layer.weight.detach(), part.which).double()
            fit = left @ torch.linalg.lstsq(left, wanted, driver="gelsd").solution if left.shape[1] else 0 * wanted
            total += float((fit - wanted).square().sum()) / rows / one.variance
    return total


@pytest.mark.parametrize("name", ["dummy", "residual"])
@torch.no_grad()
def test_each_cost_is_what_the_least_squares_of_all_readers_grow_by(name: str) -> None:
    model, inputs, group = reader(name)
    names = [m.module for m in group.members if m.side == "in"]
    seen: dict[str, Tensor] = {}
    for each in names:
        model.get_submodule(each).register_forward_pre_hook(lambda m, i, each=each: seen.update({each: i[0].clone()}))
    model(*inputs)
    for each in names:
        model.get_submodule(each)._forward_pre_hooks.clear()
    read = {each: read_of(model, each, inputs) for each in names}
    costs = group_costs(group, read, damp=1e-6)
    gone: list[int] = []
    before = highest = 0.0
    for which in costs.argsort().tolist()[:4]:
        growth = {c: error(model, read, group, seen, [*gone, c]) - before for c in range(group.size) if c not in gone}
        assert growth[which] == pytest.approx(min(growth.values()), rel=1e-2, abs=1e-6)
        highest = max(highest, growth[which])
        assert float(costs[which]) == pytest.approx(highest, rel=1e-2, abs=1e-6)
        gone.append(which)
        before += growth[which]


def test_costs_are_an_order() -> None:
    for name in ("dcgan", "residual", "flattened"):
        model, inputs = generator(name), latents(name, 64)
        groups = couple(model, tuple(x[:2] for x in inputs)).groups
        found = osscar(context(model, inputs[0]))
        for group in groups:
            values = found[group.name]
            assert len(set(values.tolist())) == len(values) and bool((values > 0).all())


class Depthwise(nn.Module):
    """What reads the first layer's channels is one filter each, whose own outputs are read by the last."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.each = nn.Linear(3, 4, bias=False), nn.Conv1d(4, 4, 1, groups=4, bias=False)
        self.last = nn.Conv1d(4, 1, 1, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.last(torch.relu(self.each(torch.relu(self.first(z))[:, :, None])))
        return x


def test_a_grouped_reader_counts_with_what_a_channel_carries() -> None:
    torch.manual_seed(0)
    model, rows = Depthwise(), torch.randn(64, 3)
    group = Group("first", 4, (Member("each", "in", torch.arange(4), torch.arange(4)),))
    read = {"each": read_of(model, "each", (rows,))}
    found = group_costs(group, read) * read["each"].variance
    carried = torch.relu(rows @ model.first.weight.T).double().square().mean(0) * model.each.weight.flatten() ** 2
    torch.testing.assert_close(found, carried.detach(), rtol=1e-5, atol=0)


class Own(nn.Module):
    """A layer that uses its weight by code of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


def test_readers_that_are_not_known_leave_nothing_to_score() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), Own())
    with pytest.raises(NotApplicable, match="no group of channels is read by nothing but PyTorch's layers"):
        osscar(context(model, SIGNS))
