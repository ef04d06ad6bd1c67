"""What is tried on a network before a group of channels may be pruned."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from strategies.granularity import wiring
from strategies.granularity.groups import Group, Member
from strategies.granularity.proof import INPUTS as INPUT_NAMES
from strategies.granularity.proof import PROBE_TOLERANCE, Prover, _ancestors

INPUTS = (torch.randn(2, 3, generator=torch.Generator().manual_seed(0)),)


class Counted(nn.Sequential):
    """Layers that know how often they ran."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Counted.calls += 1
        return super().forward(x)  # type: ignore[no-any-return]


def network(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.LeakyReLU(0.5)]
    return Counted(*layers[:-1]).eval()


def test_a_group_of_two_channels_can_lose_one() -> None:
    model = network(3, 2, 5, 4)
    groups, _ = wiring.find(model, INPUTS)
    proven, refused = Prover(model, INPUTS).prove(groups)
    assert [(group.name, group.size) for group in proven] == [("0", 2), ("2", 5)]
    assert refused == {}


def test_a_proof_takes_eight_forward_passes_where_all_is_well() -> None:
    model = network(3, 6, 5, 4)
    groups, _ = wiring.find(model, INPUTS)
    Counted.calls = 0
    Prover(model, INPUTS).prove(groups)
    assert Counted.calls == 8


def test_what_is_tried_is_the_same_each_time_from_no_channel_to_all_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[dict[str, Tensor]] = []

    def noted(self: Prover, groups: Any, removed: dict[str, Tensor]) -> None:
        tried.append(removed)

    monkeypatch.setattr(Prover, "_try", noted)
    model = network(3, 2, 3, 4)
    groups, _ = wiring.find(model, INPUTS)
    for _ in range(2):
        Prover(model, INPUTS).prove(groups)
    assert len(tried) == 8
    found = [{name: removed.tolist() for name, removed in one.items()} for one in tried]
    assert found[:4] == found[4:]
    assert found[3] == {"0": [0], "2": [0, 1]}
    rng = torch.Generator().manual_seed(0)
    for one in found[:3]:
        for name, size in (("0", 2), ("2", 3)):
            count = int(torch.randint(0, size, (1,), generator=rng))
            assert one[name] == torch.randperm(size, generator=rng)[:count].tolist()
    assert any(removed == [] for one in found for removed in one.values())


@pytest.mark.parametrize(("error", "allowed"), [(0.9e-9, True), (1.1e-9, False)])
def test_a_difference_from_the_masked_twin_is_allowed_up_to_one_in_a_billion(
    error: float, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROBE_TOLERANCE == 1e-9
    monkeypatch.setattr("strategies.granularity.proof.twin_error", lambda *_: error)
    model = network(3, 6, 5, 4)
    groups, _ = wiring.find(model, INPUTS)
    proven, refused = Prover(model, INPUTS).prove(groups)
    assert bool(proven) is allowed and bool(refused) is not allowed


# Who is refused.


def groups_of(*sizes: int) -> tuple[Group, ...]:
    """Groups ``a``, ``b``, ... that no module knows: `_try` is replaced where they are used."""
    return tuple(Group("abcdefgh"[k], size, ()) for k, size in enumerate(sizes))


def prove(
    monkeypatch: pytest.MonkeyPatch, groups: tuple[Group, ...], sound: Callable[[frozenset[str]], bool]
) -> tuple[list[str], dict[str, str], list[tuple[str, ...]]]:
    """What is proven and refused where groups hold as ``sound`` says of their names, and what was tried in turn."""
    tried: list[tuple[str, ...]] = []

    def attempt(self: Prover, groups: tuple[Group, ...], removed: dict[str, Tensor]) -> str | None:
        assert list(removed) == [group.name for group in groups]
        tried.append(tuple(removed))
        return None if sound(frozenset(removed)) else f"{len(removed)} fail"

    monkeypatch.setattr(Prover, "_try", attempt)
    proven, refused = Prover(network(3, 4, 2), INPUTS).prove(groups)
    return [group.name for group in proven], refused, tried


def test_a_single_channel_is_refused_untried(monkeypatch: pytest.MonkeyPatch) -> None:
    proven, refused, tried = prove(monkeypatch, groups_of(1, 2, 3), lambda names: True)
    assert (proven, refused) == (["b", "c"], {"a": "has a single channel"})
    assert tried == [("b", "c")] * 4  # three by chance, and all but one


def test_nothing_is_tried_without_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prove(monkeypatch, (), lambda names: False) == ([], {}, [])
    assert prove(monkeypatch, groups_of(1), lambda names: False)[2] == []


def test_who_is_unsound_is_found_in_halves_and_the_rest_is_proven_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    proven, refused, tried = prove(monkeypatch, groups_of(2, 2, 2, 2, 2), lambda names: "d" not in names)
    assert proven == ["a", "b", "c", "e"]
    assert refused == {"d": "1 fail"}
    # All, the first half, the second one, its halves, d once more by its first channel alone; then who is left.
    assert tried[:5] == [("a", "b", "c", "d", "e"), ("a", "b"), ("c", "d", "e"), ("c",), ("d", "e")]
    assert tried[-4:] == [("a", "b", "c", "e")] * 4 and ("e",) in tried


def test_groups_that_hold_alone_but_not_together_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    proven, refused, _ = prove(monkeypatch, groups_of(2, 2, 2), lambda names: not {"a", "c"} <= names)
    assert proven == ["a", "b"]
    assert refused == {"c": "not together with other groups: 3 fail"}


def test_when_its_time_is_over_nothing_more_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    prover = Prover(network(3, 4, 2), INPUTS, begun=100.0)
    assert prover.limit == 1800
    now[0] = 1900.0
    assert prover.late == ""
    now[0] = 1900.1
    assert prover.late == "not proven to go within 1800 s"
    monkeypatch.setattr(Prover, "_try", lambda *_: pytest.fail("tried"))
    proven, refused = prover.prove(groups_of(2, 2))
    assert proven == () and refused == dict.fromkeys("ab", "not proven to go within 1800 s")


def test_a_group_that_cannot_go_says_why_of_its_first_channel_or_of_more_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[list[int]] = []

    def attempt(self: Prover, groups: tuple[Group, ...], removed: dict[str, Tensor]) -> str | None:
        tried.append(removed["a"].tolist())
        return f"{len(removed['a'])} of it" if len(removed["a"]) > many else None

    monkeypatch.setattr(Prover, "_try", attempt)
    many = 0
    assert Prover(network(3, 4, 2), INPUTS)._alone(groups_of(6)[0]) == "1 of it"
    assert tried == [[0]]
    many = 4
    assert Prover(network(3, 4, 2), INPUTS)._alone(groups_of(6)[0]) == "5 of it"


def test_a_difference_is_said_with_its_size_and_a_failure_by_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(3, 6, 4)
    groups, _ = wiring.find(model, INPUTS)
    prover = Prover(model, INPUTS)
    removed = {"0": torch.tensor([0])}
    assert prover._try(groups, removed) is None
    monkeypatch.setattr("strategies.granularity.proof.twin_error", lambda *_: 0.25)
    assert prover._try(groups, removed) == "without some of its channels it differs from its masked twin by 2.5e-01"

    def fails(*_: object) -> float:
        raise RuntimeError("first\nsecond") if len(_) == 4 else AssertionError

    monkeypatch.setattr("strategies.granularity.proof.twin_error", fails)
    assert prover._try(groups, removed) == "cannot be made smaller: first"


# Attributes that have to follow the number of channels.


class Layer(nn.Module):
    """A layer of somebody's own, with numbers beside its weight."""

    def __init__(self, into: int, out: int, **numbers: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(out, into))
        for name, value in numbers.items():
            setattr(self, name, value)


class Inner(nn.Module): ...


class Around(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module, **others: object) -> None:
        super().__init__()
        self.inner = Inner()
        self.inner.first, self.inner.second = first, second
        for name, value in others.items():
            setattr(self, name, value)


def offered(model: nn.Module, size: int = 5) -> list[list[tuple[str, str]]]:
    """(module, attribute) of each guess of what holds the width of a group that one layer makes and one reads."""
    every = torch.arange(size)
    group = Group("g", size, (Member("inner.first", "out", every, every), Member("inner.second", "in", every, every)))
    return [[(m.module, m.side) for m in guess] for guess in Prover(model, ())._attributes(group)]


def test_numbers_of_the_layers_themselves_are_taken_by_the_side_that_their_names_say() -> None:
    first = Layer(3, 5, out_features=5, in_features=5, width_out=5, other=4, _hidden=5, flag=True, size="5", classes=5)
    second = Layer(5, 2, in_features=5, out_features=5, num=5)
    own = [("inner.first", ".out_features"), ("inner.second", ".in_features"), ("inner.second", ".num")]
    assert offered(Around(first, second))[:2] == [own, own[:1]]


def test_numbers_of_the_modules_around_come_next_first_by_side_then_by_value() -> None:
    first, second = Layer(3, 5), Layer(5, 2)
    model = Around(first, second, in_channels=5)
    model.inner.out_channels = 5
    every = [("inner", ".out_channels"), ("", ".in_channels")]
    # The maker's side is out, the reader's in: by both sides each of the two is somebody's.
    assert [sorted(guess) for guess in offered(model)[:4]] == [sorted(every)] * 4


def test_a_place_of_a_tuple_and_a_number_without_a_name_for_it_are_guessed_last() -> None:
    model = Around(Layer(3, 5), Layer(5, 2), shape=(1, 5, 4), mixed=(5, "a"), other=[4, 4], image_size=5)
    model.view = nn.Unflatten(1, (5, 1))
    guesses = offered(model)
    singles = [guess[0] for guess in guesses if len(guess) == 1]
    assert ("", ".shape[1]") in singles and ("view", ".unflattened_size[0]") in singles
    assert ("", ".mixed[0]") not in singles and ("", ".other[0]") not in singles
    likely = [("", ".shape[1]"), ("view", ".unflattened_size[0]")]
    assert [sorted(guess) for guess in guesses if len(guess) == 2] == [sorted(likely)]
    assert singles[-1] == ("", ".image_size")  # its name says something else: last of all


def test_own_attributes_are_in_the_order_of_the_channels() -> None:
    indices, channels = torch.tensor([2, 0, 1]), torch.tensor([0, 1, 2])
    member = Member("inner.first", "out", indices, channels)
    (found,) = Prover(Around(Layer(3, 3, out_dim=3), Layer(3, 2)), ())._of(member, "inner.first", by_side=True)
    assert (found.side, found.indices.tolist(), found.channels.tolist()) == (".out_dim", [0, 1, 2], [1, 2, 0])


def test_torchs_own_modules_and_attributes_are_left_alone() -> None:
    model = Around(nn.Linear(3, 5), nn.Linear(5, 2))
    assert offered(model) == []
    every = torch.arange(5)
    own = Around(Layer(3, 5, out_dim=5), Layer(5, 2))
    assert list(Prover(own, ())._of(Member("inner.first", ".out", every, every), "inner.first", by_side=True)) == []


def test_the_smaller_network_runs_where_an_attribute_follows() -> None:
    class Viewed(nn.Module):
        """Its reshape says how many channels there are."""

        def __init__(self) -> None:
            super().__init__()
            self.channels = 6
            self.first, self.second = nn.Linear(3, 24), nn.Conv2d(6, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.second(self.first(x).view(-1, self.channels, 2, 2))
            return y

    model = Viewed().eval()
    groups, _ = wiring.find(model, INPUTS)
    proven, refused = Prover(model, INPUTS).prove(groups)
    assert refused == {} and [(group.name, group.size) for group in proven] == [("first", 6)]
    assert [(m.module, m.side) for m in proven[0].members if m.side.startswith(".")] == [("", ".channels")]


@pytest.mark.parametrize(("name", "expected"), [("a.b.c", ["a.b", "a", ""]), ("a", [""]), ("", [])])
def test_what_is_around_a_module(name: str, expected: list[str]) -> None:
    assert _ancestors(name) == expected


@pytest.mark.parametrize(
    "name", ["in", "in_channels", "c_in", "num_in", "dim_in_features", "input_dim", "nin", "cin_x"]
)
def test_names_of_inputs(name: str) -> None:
    assert INPUT_NAMES.search(name)


@pytest.mark.parametrize("name", ["width", "main", "min", "bins", "hidden", "training"])
def test_names_that_are_not_of_inputs(name: str) -> None:
    assert not INPUT_NAMES.search(name)


def test_a_number_whose_name_says_the_other_side_is_guessed_after_those_that_say_the_right_one() -> None:
    class Holds(nn.Module):
        def __init__(self, layer: nn.Module, **numbers: int) -> None:
            super().__init__()
            self.layer = layer
            for name, value in numbers.items():
                setattr(self, name, value)

    model = nn.ModuleDict({"a": Holds(Layer(3, 5), in_channels=5), "b": Holds(Layer(5, 2), in_channels=5)})
    every = torch.arange(5)
    group = Group("g", 5, (Member("a.layer", "out", every, every), Member("b.layer", "in", every, every)))
    guesses = [[m.module for m in guess] for guess in Prover(model, ())._attributes(group)]
    assert guesses[0] == ["b"] and ["a", "b"] in guesses
    assert guesses.index(["b"]) < guesses.index(["a", "b"])


def test_a_single_likely_place_is_guessed_once_behind_modules_that_hold_no_number() -> None:
    model = Around(Layer(3, 5), Layer(5, 2))
    model.act, model.view = nn.ReLU(), nn.Unflatten(1, (5, 1))
    assert offered(model) == [[("view", ".unflattened_size[0]")]]
