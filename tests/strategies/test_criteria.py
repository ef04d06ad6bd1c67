"""The criteria of the weights alone against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from strategies.base import Criterion, NotApplicable, Scores
from strategies.criteria import bnscale, l1, random, rownorm
from strategies.granularity.channel import channel_scores
from strategies.granularity.coupling import couple
from tests.strategies.nets import context

ROWS = torch.tensor([[1.0, 4.0], [-2.0, 5.0], [3.0, -6.0]])
"""Three channels made of two weights each."""

KINDS = ["linear", "conv", "transposed"]


class Net(nn.Module):
    """Two layers: three channels made from two inputs, read by one output."""

    def __init__(self, kind: str, norm: bool = False) -> None:
        super().__init__()
        self.kind = kind
        if kind == "linear":
            self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 1)
            self.norm = nn.BatchNorm1d(3) if norm else nn.Identity()
        else:
            self.first = nn.ConvTranspose2d(2, 3, 1) if kind == "transposed" else nn.Conv2d(2, 3, 1)
            self.norm = nn.BatchNorm2d(3) if norm else nn.Identity()
            self.last = nn.Conv2d(3, 1, 1)
        with torch.no_grad():
            self.first.weight.copy_((ROWS.T if kind == "transposed" else ROWS).view_as(self.first.weight))
            self.last.weight.copy_(torch.tensor([0.5, -0.25, 0.125]).view_as(self.last.weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.first(x))))


def made(kind: str, norm: bool = False) -> tuple[Net, tuple[Tensor, ...]]:
    model = Net(kind, norm).eval()
    return model, (torch.randn(2, 2) if kind == "linear" else torch.randn(2, 2, 1, 1),)


def scores_of(criterion: Criterion, kind: str, seed: int = 0) -> Scores:
    return criterion(context(*made(kind), seed=seed))


def channels_of(criterion: Criterion, kind: str, norm: bool = False) -> list[float]:
    model, inputs = made(kind, norm)
    (group,) = couple(model, inputs).groups
    found = channel_scores(group, model, criterion(context(model, inputs)), criterion)
    assert found is not None and found.dtype == torch.float64
    return found.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_l1_of_a_weight_is_its_magnitude(kind: str) -> None:
    scores = scores_of(l1, kind)
    expected = ROWS.T.abs() if kind == "transposed" else ROWS.abs()
    assert torch.equal(scores["first"].reshape(expected.shape), expected)
    assert scores["last"].flatten().tolist() == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("kind", KINDS)
def test_l1_of_a_channel_is_the_l1_norm_of_what_makes_it(kind: str) -> None:
    assert channels_of(l1, kind) == [5.0, 7.0, 9.0]


@pytest.mark.parametrize("kind", KINDS)
def test_rownorm_of_a_weight_is_its_square(kind: str) -> None:
    scores = scores_of(rownorm, kind)
    assert sorted(scores["first"].flatten().tolist()) == [1, 4, 9, 16, 25, 36]
    assert scores["last"].flatten().tolist() == [0.25, 0.0625, 0.015625]


@pytest.mark.parametrize("kind", KINDS)
def test_rownorm_of_a_channel_is_the_l2_norm_of_its_row(kind: str) -> None:
    assert channels_of(rownorm, kind) == pytest.approx([math.sqrt(17), math.sqrt(29), math.sqrt(45)], rel=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_random_is_the_prune_stream_and_nothing_else(kind: str) -> None:
    scores = scores_of(random, kind, seed=5)
    rng = torch.Generator().manual_seed(5)
    for name, weight in (("first", made(kind)[0].first.weight), ("last", made(kind)[0].last.weight)):
        assert torch.equal(scores[name], torch.rand(weight.shape, generator=rng, dtype=torch.float64))
    assert not torch.equal(scores["first"], scores_of(random, kind, seed=6)["first"])


@pytest.mark.parametrize("kind", KINDS)
def test_random_of_a_channel_is_the_sum_over_the_weights_that_make_it(kind: str) -> None:
    first = scores_of(random, kind)["first"].flatten(1).squeeze()
    rows = first.T if kind == "transposed" else first
    assert channels_of(random, kind) == pytest.approx(rows.sum(1).tolist(), rel=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_bnscale_of_a_channel_is_the_magnitude_of_the_scale_behind_it(kind: str) -> None:
    model, inputs = made(kind, norm=True)
    with torch.no_grad():
        model.norm.weight.copy_(torch.tensor([-0.5, 2.0, 0.25]))
    scores = bnscale(context(model, inputs))
    assert {name: values.tolist() for name, values in scores.items()} == {"norm": [0.5, 2.0, 0.25]}
    (group,) = couple(model, inputs).groups
    found = channel_scores(group, model, scores, bnscale)
    assert found is not None and found.tolist() == [0.5, 2.0, 0.25]


def test_bnscale_does_not_apply_without_batchnorm() -> None:
    with pytest.raises(NotApplicable, match="no BatchNorm"):
        scores_of(bnscale, "linear")


def test_bnscale_does_not_apply_where_no_batchnorm_has_a_scale() -> None:
    model, inputs = made("conv", norm=True)
    model.norm = nn.BatchNorm2d(3, affine=False).eval()
    with pytest.raises(NotApplicable):
        bnscale(context(model, inputs))


def test_a_channel_made_by_several_layers_has_the_mean_of_their_scores() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = nn.Linear(1, 2), nn.Linear(1, 2), nn.Linear(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.a(x) + self.b(x))

    model = Sum().eval()
    with torch.no_grad():
        model.a.weight.copy_(torch.tensor([[1.0], [-4.0]]))
        model.b.weight.copy_(torch.tensor([[-3.0], [8.0]]))
    inputs = (torch.randn(2, 1),)
    (group,) = couple(model, inputs).groups
    found = channel_scores(group, model, l1(context(model, inputs)), l1)
    assert found is not None and found.tolist() == [2.0, 6.0]
