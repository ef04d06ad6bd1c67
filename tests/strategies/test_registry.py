"""The registry of named things."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from strategies.allocation import global_
from strategies.base import Criterion
from strategies.builtin import STRATEGIES, strategy
from strategies.composition import Strategy
from strategies.criteria import criterion, l1
from strategies.granularity.weight import weight
from strategies.registry import DuplicateName, Registry, UnknownName


@pytest.fixture
def registry() -> Registry[int]:
    found: Registry[int] = Registry("thing")
    found.add("l1-channel-global", 1)
    found.add("random-weight", 2)
    return found


def test_a_second_thing_of_the_same_name_is_refused_with_the_place_of_the_first(registry: Registry[int]) -> None:
    with pytest.raises(DuplicateName, match=r"thing 'random-weight' is already registered in .*test_registry\.py:\d+"):
        registry.add("random-weight", 3)
    assert registry["random-weight"] == 2


def test_a_misspelt_name_is_answered_with_the_nearest_one(registry: Registry[int]) -> None:
    with pytest.raises(UnknownName) as caught:
        registry["l1-chanel-global"]
    assert str(caught.value) == "no thing 'l1-chanel-global'. Did you mean 'l1-channel-global'?"


def test_a_name_like_no_other_is_answered_with_all_known_ones(registry: Registry[int]) -> None:
    with pytest.raises(UnknownName) as caught:
        registry["zzz"]
    assert str(caught.value) == "no thing 'zzz'. Known: l1-channel-global, random-weight."


def test_an_empty_registry_says_that_it_knows_nothing() -> None:
    with pytest.raises(UnknownName, match="Known: none"):
        Registry[int]("thing")["a"]


def test_an_unknown_name_is_a_key_error_so_that_mappings_work_as_ever(registry: Registry[int]) -> None:
    with pytest.raises(KeyError):
        registry["a"]
    assert "a" not in registry


@pytest.mark.parametrize(
    "name", ["", "a/b", "../a", "a..b", ".hidden", "-x", "a b", "<b>", "a\\b", "a\n", "a\0", "é", "a%", "$(x)"]
)
def test_names_that_are_unsafe_in_a_path_are_refused(registry: Registry[int], name: str) -> None:
    with pytest.raises(ValueError, match="not usable in a path"):
        registry.add(name, 3)
    assert name not in registry


@pytest.mark.parametrize("name", ["rownorm-channel+everystep", "l1-nm-2-4", "A_1.5"])
def test_the_characters_of_strategy_names_are_allowed(registry: Registry[int], name: str) -> None:
    assert registry.add(name, 3) == registry[name] == 3


def test_names_come_in_the_order_of_registration() -> None:
    registry: Registry[int] = Registry("thing")
    for value, name in enumerate(["c", "a", "b"]):
        registry.add(name, value)
    assert (list(registry), len(registry)) == (["c", "a", "b"], 3)


def test_the_origin_is_the_line_that_registered(registry: Registry[int]) -> None:
    frame = inspect.currentframe()
    assert frame is not None
    registry.add("here", 3)
    assert registry.origin("here") == f"{__file__}:{frame.f_lineno - 1}"


def test_the_origin_of_a_decorated_thing_is_the_line_of_the_decorator() -> None:
    registry: Registry[object] = Registry("thing")
    frame = inspect.currentframe()
    assert frame is not None

    @registry.register("here")
    def thing() -> None: ...

    assert registry.origin("here") == f"{__file__}:{frame.f_lineno - 3}"
    assert registry["here"] is thing


def test_the_origin_of_an_unknown_name_is_an_unknown_name(registry: Registry[int]) -> None:
    with pytest.raises(UnknownName):
        registry.origin("a")


def test_the_origin_of_a_criterion_is_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh: Registry[Criterion] = Registry("criterion")
    monkeypatch.setattr("strategies.criteria.registry.CRITERIA", fresh)

    @criterion("here", source="test", formula="0")
    def here(context: object) -> dict[str, object]:
        return {}

    file, line = fresh.origin("here").rsplit(":", 1)
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert file == __file__
    assert "def here" in "".join(source[int(line) - 1 : int(line) + 1])


def test_the_origin_of_a_strategy_is_the_line_that_composes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh: Registry[Strategy] = Registry("strategy")
    monkeypatch.setattr("strategies.builtin.STRATEGIES", fresh)
    strategy("here", l1, weight, global_)
    file, line = fresh.origin("here").rsplit(":", 1)
    assert file == __file__
    assert 'strategy("here"' in Path(__file__).read_text(encoding="utf-8").splitlines()[int(line) - 1]


def test_every_strategy_stands_under_its_own_name() -> None:
    assert {name: STRATEGIES[name].name for name in STRATEGIES} == {name: name for name in STRATEGIES}


def test_strategy_names_are_made_of_their_parts() -> None:
    for name in STRATEGIES:
        thing = STRATEGIES[name]
        assert name.startswith(f"{thing.criterion.name}-{thing.granularity.name}")
        assert (name.partition("+")[2] or None) == (thing.schedule.name if thing.schedule else None)


def test_a_message_does_not_list_a_whole_catalogue() -> None:
    message = UnknownName("thing", "<script>", [f"name-{k}" for k in range(75)]).message
    assert message.endswith("name-10, name-11 and 63 more.")
    assert "name-12," not in message
