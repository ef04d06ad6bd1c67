"""When what was found of a network's channels is all that there is to find."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from strategies.granularity import coupling, graph
from strategies.granularity.coupling import OUTPUT, Coupling, Group, Member, _made, _offered, _settled, couple
from strategies.granularity.proof import Prover

INPUTS = (torch.ones(1, 3),)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).eval()


def test_all_is_found_where_every_layer_is_offered_but_the_one_that_makes_the_output() -> None:
    found = couple(network(), INPUTS)
    assert _made(network(), found) == {"0": 6, "2": 4}
    assert _offered(network(), found) == 10
    assert found.dense == {"4": OUTPUT}
    assert _settled(network(), found)
    assert not _settled(network(), replace(found, dense={"4": "another reason"}))
    assert not _settled(network(), replace(found, dense={**found.dense, "2": OUTPUT}))


def test_not_all_is_found_where_another_layer_is_left() -> None:
    found = couple(network(), INPUTS)
    fewer = replace(found, groups=found.groups[:1])
    assert _made(network(), fewer) == {"0": 6} and _offered(network(), fewer) == 6
    assert not _settled(network(), fewer)


# Which of the two ways of finding groups is taken.

LAYERS = ("0", "2", "4")


def group(name: str, size: int, *members: tuple[str, str]) -> Group:
    every = torch.arange(size)
    return Group(name, size, tuple(Member(module, side, every, every) for module, side in members))


def offering(**sizes: int) -> Coupling:
    """So many channels of the first two layers; what is not offered is dense, ``l4`` as the output."""
    readers = {"0": "2", "2": "4"}
    groups = tuple(group(name[1:], size, (name[1:], "out"), (readers[name[1:]], "in")) for name, size in sizes.items())
    dense = {name: OUTPUT if name == "4" else f"why {name}" for name in LAYERS if f"l{name}" not in sizes}
    return Coupling(groups, dense)


class Ways:
    """Stands in for both ways; notes which ones are asked."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, library: Coupling | None, first: Coupling, last: Coupling | None = None
    ) -> None:
        self.asked: list[str] = []

        def by_library(prover: Prover) -> Coupling | None:
            self.asked.append("library")
            return library

        def by_following(prover: Prover, *, last: bool = False) -> Coupling:
            self.asked.append("last" if last else "first")
            return found_last if last else first

        found_last = last or first
        monkeypatch.setattr(coupling, "_by_library", by_library)
        monkeypatch.setattr(coupling, "_by_following", by_following)


def test_where_the_library_finds_all_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_it = offering(l0=6, l2=4)
    ways = Ways(monkeypatch, all_of_it, offering())
    assert couple(network(), INPUTS) == all_of_it
    assert ways.asked == ["library"]


def test_where_following_finds_all_it_is_not_tried_from_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_it = offering(l0=6, l2=4)
    ways = Ways(monkeypatch, None, all_of_it)
    assert couple(network(), INPUTS) == all_of_it
    assert ways.asked == ["library", "first"]


@pytest.mark.parametrize(("from_the_end", "taken"), [(4, "first"), (6, "first"), (7, "last")])
def test_following_from_the_end_is_taken_where_it_offers_more(
    from_the_end: int, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = offering(l0=6), offering(l2=from_the_end)
    ways = Ways(monkeypatch, None, first, last)
    assert couple(network(), INPUTS) == {"first": first, "last": last}[taken]
    assert ways.asked == ["library", "first", "last"]


def test_the_library_is_kept_where_following_offers_no_more_with_the_better_reasons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Coupling(offering(l0=6).groups, {"2": "why by the library", "4": "as well"})
    followed = Coupling(offering(l2=6).groups, {"0": "why 0", "2": "why 2"})
    Ways(monkeypatch, library, followed)
    found = couple(network(), INPUTS)
    assert found.groups == library.groups
    assert found.dense == {"2": "why 2", "4": "as well"}  # of what the library offers no reason is said
    more = Coupling(offering(l2=7).groups, {"0": "why 0"})
    Ways(monkeypatch, library, more)
    assert couple(network(), INPUTS).groups == more.groups


def test_the_library_is_not_asked_about_shared_weights_or_parameters_of_somebodys_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = Ways(monkeypatch, offering(l0=6, l2=4), offering())
    tied = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    tied[2].weight = tied[0].weight
    couple(tied, INPUTS)

    class Own(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(*network())
            self.scale = nn.Parameter(torch.ones(1))

    couple(Own(), INPUTS)
    assert "library" not in ways.asked


# What is made of the library's groups.


def test_of_the_librarys_groups_those_that_are_read_and_understood_are_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(3, 6), nn.PReLU(6), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    groups = (
        group("2", 4, ("2", "out"), ("3", "out"), ("4", "in")),
        group("0", 6, ("0", "out"), ("1", "out"), ("2", "in")),
        group("4", 2, ("4", "out")),
    )
    tried: list[str] = []

    def prove(self: Prover, candidates: tuple[Group, ...]) -> tuple[tuple[Group, ...], dict[str, str]]:
        tried.extend(one.name for one in candidates)
        return candidates, {"another": "not proven"}

    monkeypatch.setattr(graph, "find", lambda model, inputs: groups)
    monkeypatch.setattr(Prover, "prove", prove)
    found = coupling._by_library(Prover(model, INPUTS))
    assert tried == ["2"]
    assert found == Coupling(
        groups[:1],
        {"0": "coupled to 1, a kind of module that cannot be made smaller", "4": OUTPUT, "another": "not proven"},
    )


def test_a_library_that_raises_has_found_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(model: nn.Module, inputs: object) -> None:
        raise KeyError("its own")

    monkeypatch.setattr(graph, "find", find)
    assert coupling._by_library(Prover(network(), INPUTS)) is None


def test_groups_come_in_the_order_of_the_network_and_layers_that_nobody_named_have_a_reason() -> None:
    groups = (group("2/2", 1, ("2", "out")), group("2", 3, ("2", "out")), group("0", 6, ("0", "out")))
    ordered = coupling._coupling(network(), groups, {})
    assert [one.name for one in ordered.groups] == ["0", "2/2", "2"]
    assert _made(network(), ordered) == {"0": 6, "2": 4}
    assert coupling._complete(network(), ordered).dense == {"4": coupling.UNREAD}
    sides = Coupling((group("0", 6, ("0", "weight:0:out"), ("2", "in"), ("4", "weight:1:in")),), {"4": "why"})
    assert coupling._complete(network(), sides).dense == {"2": coupling.UNREAD, "4": "why"}


def test_a_layer_whose_weight_somebody_else_makes_has_a_reason_of_its_own() -> None:
    model = nn.Sequential(nn.Linear(3, 6), nn.Linear(6, 2))
    weight = model[0].weight.detach()
    del model[0].weight
    model[0].weight = weight
    assert coupling._complete(model, Coupling((), {})).dense == {"0": coupling.NO_WEIGHT, "1": coupling.UNREAD}


def test_what_is_refused_names_the_layers_that_make_the_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = (group("0", 6, ("0", "out"), ("1", "out"), ("2", "in")), group("2", 4, ("2", "out"), ("4", "in")))
    monkeypatch.setattr(coupling.wiring, "find", lambda model, inputs, last: (groups, {"4": OUTPUT}))
    monkeypatch.setattr(Prover, "prove", lambda self, found: (found[1:], {"0": "not proven"}))
    found = coupling._by_following(Prover(network(), INPUTS))
    assert found == Coupling(groups[1:], {"4": OUTPUT, "0": "not proven"})


def test_a_forward_pass_that_raises_leaves_every_layer_dense_with_the_first_line_of_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find(model: nn.Module, inputs: object, last: bool) -> None:
        raise RuntimeError("this\nand that") if not last else RuntimeError

    monkeypatch.setattr(coupling.wiring, "find", find)
    for last, why in ((False, "this"), (True, "RuntimeError")):
        found = coupling._by_following(Prover(network(), INPUTS), last=last)
        assert found == Coupling((), dict.fromkeys(LAYERS, f"the forward pass cannot be followed: {why}"))


def test_normalised_weights_are_made_plain_before_their_channels_are_followed() -> None:
    model = network()
    torch.nn.utils.parametrizations.weight_norm(model[0])
    found = couple(model, INPUTS)
    assert [(one.name, one.size) for one in found.groups] == [("0", 6), ("2", 4)] and found.dense == {"4": OUTPUT}
    assert torch.nn.utils.parametrize.is_parametrized(model[0])
