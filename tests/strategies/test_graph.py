"""What is taken over from the graph of dependencies: who makes and who reads a channel, and which of its places."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from strategies.granularity import graph
from strategies.granularity.groups import Member


class Net(nn.Module):
    """A stem with a norm, flattened for a linear layer; the norm has no weights of its own."""

    def __init__(self, affine: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 1)
        self.norm = nn.BatchNorm2d(3, affine=affine)
        self.act = nn.ReLU()
        self.flat = nn.Flatten()
        self.last = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.flat(self.act(self.norm(self.stem(x)))))


X = (torch.ones(1, 2, 2, 2),)


def said(member: Member) -> tuple[str, str, list[int], list[int]]:
    return member.module, member.side, member.indices.tolist(), member.channels.tolist()


@pytest.mark.parametrize("affine", [True, False])
def test_a_group_holds_makers_norms_and_readers_with_their_places(affine: bool) -> None:
    groups = {group.name: group for group in graph.find(Net(affine).eval(), X)}
    assert {name: (group.size, group.consumed) for name, group in groups.items()} == {
        "stem": (3, True),
        "last": (5, False),
    }
    assert [said(member) for member in groups["stem"].members] == [
        ("stem", "out", [0, 1, 2], [0, 1, 2]),
        ("norm", "out", [0, 1, 2], [0, 1, 2]),
        ("last", "in", list(range(12)), [0] * 4 + [1] * 4 + [2] * 4),
    ]
    assert [said(member) for member in groups["last"].members] == [("last", "out", [0, 1, 2, 3, 4], [0, 1, 2, 3, 4])]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv2d(4, 4, 1), True),
        (nn.ConvTranspose2d(4, 4, 1), True),
        (nn.Conv2d(4, 4, 1, groups=2), False),
        (nn.Conv2d(4, 4, 1, groups=4), False),
        (nn.Linear(4, 4), True),
        (nn.BatchNorm2d(4), True),
        (nn.InstanceNorm2d(4), True),
        (nn.PReLU(4), False),
        (nn.GroupNorm(2, 4), False),
    ],
)
def test_which_kinds_mean_the_same_to_both(module: nn.Module, expected: bool) -> None:
    assert graph.understood(module) is expected


def test_networks_with_parameters_of_their_own_do_not_fit() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.scale = nn.Linear(2, 2), nn.Parameter(torch.ones(1))

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

    assert graph.fits(Net()) and graph.fits(Wrapped())  # its parameters belong to a layer
    assert not graph.fits(Scaled()) and not graph.fits(nn.Sequential(nn.Linear(2, 2), Scaled()))


def test_what_is_done_in_time_is_returned_and_what_is_raised_is_handed_on() -> None:
    assert graph.within(30, lambda: 7) == 7

    def fails() -> int:
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        graph.within(30, fails)


def test_what_takes_too_long_is_stopped() -> None:
    seen = []

    def long() -> None:
        try:
            while True:
                time.sleep(0.001)
        finally:
            seen.append("stopped")

    with pytest.raises(TimeoutError, match=r"not done after 0\.05 s"):
        graph.within(0.05, long)
    assert seen == ["stopped"]


def test_a_norm_without_weights_of_another_kind_is_no_member() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3, elementwise_affine=False), nn.Dropout(), nn.Linear(3, 2))
    found = {group.name: [m.module for m in group.members] for group in graph.find(net.eval(), (torch.ones(2, 2),))}
    assert found == {"0": ["0", "3"], "3": ["3"]}


@pytest.mark.parametrize(("limit", "seconds"), [(None, 60.0), (5.0, 5.0)])
def test_the_library_has_a_minute(limit: float | None, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def within(limit: float, work: object) -> tuple[()]:
        given.append(limit)
        return ()

    monkeypatch.setattr(graph, "within", within)
    assert graph.find(Net(), X, limit) == () and given == [seconds]


def test_what_swallows_the_exception_is_stopped_by_the_next_one() -> None:
    seen = []

    def stubborn() -> None:
        for number in range(2):
            try:
                while True:
                    time.sleep(0.001)
            except graph.OutOfTime:
                seen.append(number)

    with pytest.raises(TimeoutError):
        graph.within(0.05, stubborn)
    assert seen == [0, 1]
