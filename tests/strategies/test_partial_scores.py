"""Groups of which only some members, or some channels, have a score."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from strategies.allocation import global_
from strategies.base import Context, Criterion, NotApplicable, Scores
from strategies.criteria import bnscale
from strategies.granularity.channel import channel, channel_scores
from strategies.granularity.coupling import couple
from strategies.granularity.groups import Group, Member
from tests.strategies.nets import context


class Sum(nn.Module):
    """Two layers make the same three channels, the first of them behind a norm; two others are made alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(2, 2)
        self.a, self.norm, self.b = nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(2, 3)
        self.last = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        y: Tensor = self.last(torch.tanh(self.norm(self.a(x)) + self.b(x)))
        return y


def model() -> Sum:
    made = Sum().eval()
    with torch.no_grad():
        made.norm.weight.copy_(torch.tensor([3.0, -1.0, 2.0]))
        for layer in (made.a, made.b):
            layer.weight.copy_(torch.tensor([[1.0, 1.0], [7.0, 7.0], [0.5, 0.5]]))
    return made


INPUTS = (torch.randn(2, 2, generator=torch.Generator().manual_seed(0)),)


def group_of(name: str) -> Group:
    return next(group for group in couple(model(), INPUTS).groups if name in {m.module for m in group.members})


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"a": [1.0, 2.0, 3.0]}, [1.0, 2.0, 3.0]),
        ({"b": [1.0, 2.0, 3.0]}, [1.0, 2.0, 3.0]),
        ({"a": [1.0, 2.0, 3.0], "b": [5.0, 4.0, -3.0]}, [3.0, 3.0, 0.0]),
        ({"a": [1.0, 2.0, 3.0], "b": [5.0, 4.0, -3.0], "norm": [0.0, 0.0, 6.0]}, [2.0, 2.0, 2.0]),
        ({"last": [1.0]}, None),
        ({"stem": [1.0, 2.0]}, None),
    ],
)
def test_the_mean_is_over_the_members_that_have_a_score(scores: dict[str, list[float]], expected: list[float] | None):
    given = {name: torch.tensor(values) for name, values in scores.items()}
    found = channel_scores(group_of("norm"), model(), given, bnscale)
    assert (None if found is None else found.tolist()) == expected


def test_a_norm_s_scale_scores_what_is_made_without_a_norm_as_well() -> None:
    assert "b" in {member.module for member in group_of("norm").members}
    found = channel_scores(group_of("norm"), model(), bnscale(context(model(), INPUTS)), bnscale)
    assert found is not None and found.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("known", [[0], [0, 1], [1, 2]])
def test_a_group_has_no_score_unless_each_of_its_channels_has_one(known: list[int]) -> None:
    channels = torch.tensor(known)
    group = Group("a", 3, (Member("a", "out", torch.arange(len(known)), channels),))
    assert channel_scores(group, model(), {"a": torch.ones(3)}, bnscale) is None
    rest = torch.tensor([c for c in range(3) if c not in known])
    whole = Group("a", 3, (*group.members, Member("b", "out", torch.arange(len(rest)), rest)))
    found = channel_scores(whole, model(), {"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([9.0, 8.0])}, bnscale)
    assert found is not None
    assert found[channels].tolist() == [1.0, 2.0, 3.0][: len(known)]
    assert found[rest].tolist() == [9.0, 8.0][: len(rest)]


def test_groups_with_a_score_go_and_those_without_stay_whole() -> None:
    ranking = channel.rank(context(model(), INPUTS), bnscale, global_)
    assert [(g, c) for g, c in ranking.order] == [(0, 1), (0, 2)] and len(ranking.coupling.groups) == 1
    assert ranking.coupling.dense["stem"] == "has no score by bnscale"
    pruned = ranking.at(2.5).apply(model()).generator
    assert pruned.norm.weight.tolist() == [3.0]  # type: ignore[union-attr, operator]
    assert pruned.stem.out_features == 2


def test_a_criterion_that_scores_no_group_does_not_apply() -> None:
    def nothing(context: Context) -> Scores:
        return {"last": torch.ones(1)}

    with pytest.raises(NotApplicable, match="no group of channels has a score by 'nothing'"):
        channel.rank(context(model(), INPUTS), Criterion("nothing", nothing, "test", "0"), global_)
