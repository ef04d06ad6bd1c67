"""Constraints as words and numbers: what is refused, what a label says, which widths are left."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.constraints import Constraints, Contradiction, nearby
from strategies.registry import SAFE_NAME
from tests.helpers.properties import examples

FULL: dict[str, Any] = {
    "exclude": ["main.0", "to_rgb*"],
    "cap": 0.9,
    "ratios": {"main.3": 0.25, "up.*": 0.5},
    "multiple": 8,
    "at_least": 4,
}


def test_a_table_comes_back_as_it_was_and_nothing_is_an_empty_one() -> None:
    assert Constraints.of(FULL).table == FULL
    assert Constraints.of({}).table == {}
    assert not Constraints.of({})
    assert Constraints.of({"cap": 0.5})


def test_the_order_in_which_it_was_written_does_not_matter() -> None:
    turned = {"ratios": {"up.*": 0.5, "main.3": 0.25}, "exclude": ["to_rgb*", "main.0", "main.0"], "cap": 0.9}
    assert Constraints.of(turned) == Constraints.of({key: FULL[key] for key in turned})


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"cap": 1}, "1 is not in (0, 1)"),
        ({"cap": 0.0}, "0.0 is not in (0, 1)"),
        ({"cap": float("nan")}, "nan is not in (0, 1)"),
        ({"cap": True}, "cap = True: expected a share"),
        ({"multiple": 1}, "1 is not a whole number from 2"),
        ({"multiple": 8.0}, "multiple = 8.0: expected a whole number"),
        ({"at_least": 0}, "0 is not a whole number from 1"),
        ({"exclude": "main.0"}, "expected a list of patterns"),
        ({"exclude": [""]}, "'' is no pattern of layer names"),
        ({"exclude": ["a"] + [f"b{i}" for i in range(100)]}, "101 patterns; at most 100"),
        ({"ratios": {"main.0": 1.0}}, "1.0 is not in [0, 1)"),
        ({"ratios": ["main.0"]}, "expected a table of patterns and shares"),
        ({"round_to": 8}, "no constraint 'round_to'; there are exclude, cap, ratios, multiple, at_least."),
        ({"exclude": ["main.0"], "ratios": {"main.0": 0.3}}, "'main.0' is in exclude, and ratios take 0.3 of it."),
        ({"cap": 0.2, "ratios": {"main.0": 0.3}}, "ratios take 0.3 of 'main.0', more than cap = 0.2."),
    ],
)
def test_what_is_malformed_is_one_sentence(table: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(part)) as caught:
        Constraints.of(table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "label"),
    [
        ({}, ""),
        ({"multiple": 8}, "+x8"),
        ({"at_least": 4, "multiple": 16}, "+x16+min4"),
        ({"cap": 0.9, "exclude": ["main.0"]}, "+not-main.0+cap0.9"),
        ({"exclude": ["main.3", "main.0"]}, "+not-main.0+main.3"),
        ({"ratios": {"main.0": 0.25}}, "+at-main.0-0.25"),
    ],
)
def test_a_label_spells_out_what_is_short(table: dict[str, Any], label: str) -> None:
    assert Constraints.of(table).label == label


def test_patterns_that_no_path_can_have_are_hashed_in_labels() -> None:
    first, second = (Constraints.of({"exclude": [pattern]}).label for pattern in ("main.*", "main.?"))
    assert first != second
    assert re.fullmatch(r"\+not-main-[0-9a-f]{6}", first)


names = st.text(st.sampled_from("ab.*?[]/\\ ü0"), min_size=1, max_size=30)


@given(st.lists(names, max_size=4, unique=True), st.none() | st.floats(0.01, 0.99), st.none() | st.integers(2, 99))
@examples(60)
def test_every_label_is_safe_in_paths(patterns: list[str], cap: float | None, multiple: int | None) -> None:
    found = Constraints(tuple(patterns), cap, multiple=multiple)
    whole = f"l1-channel-global{found.label}"
    assert SAFE_NAME.fullmatch(whole)
    assert ".." not in whole
    assert len(found.label) < 60
    assert Constraints.of(found.table) == found


# What may be gone of a layer.


@pytest.mark.parametrize(
    ("table", "size", "left"),
    [
        ({"multiple": 8}, 32, [32, 24, 16, 8]),
        ({"multiple": 8}, 12, [12, 8]),  # the first step takes what is over
        ({"multiple": 8}, 8, [8]),
        ({"multiple": 8}, 5, [5]),
        ({"multiple": 8, "at_least": 9}, 32, [32, 24, 16]),
        ({"multiple": 8, "cap": 0.5}, 30, [30, 24, 16]),
        ({"at_least": 3}, 5, [5, 4, 3]),
        ({"at_least": 9}, 5, [5]),
        ({"cap": 0.5}, 5, [5, 4, 3]),
        ({"exclude": ["m*"]}, 5, [5]),
        ({"ratios": {"m": 0.5}}, 10, [5]),
        ({"ratios": {"m": 0.5}, "multiple": 4}, 10, [4]),  # 5 asked for: 4 and 8 left are 6 and 2 gone
        ({"ratios": {"m": 0.5}, "multiple": 8}, 24, [16]),  # 8 and 16 are as near: the wider one
        ({"ratios": {"m": 0.0}}, 10, [10]),
        ({"ratios": {"m": 0.9}}, 3, [1]),  # one channel always stays
        ({}, 3, [3, 2, 1]),
    ],
)
def test_the_widths_that_a_group_may_have(table: dict[str, Any], size: int, left: list[int]) -> None:
    assert [size - gone for gone in Constraints.of(table).stops(["m"], size, stays=1)] == left


def test_of_single_weights_a_whole_layer_may_go() -> None:
    assert list(Constraints.of({"exclude": ["other"]}).stops(["m"], 3)) == [0, 1, 2, 3]


@given(
    st.integers(1, 300),
    st.none() | st.integers(2, 40),
    st.none() | st.integers(1, 40),
    st.none() | st.floats(0.01, 0.99),
)
@examples(200)
def test_whatever_is_left_obeys_all_of_them(
    size: int, multiple: int | None, at_least: int | None, cap: float | None
) -> None:
    found = Constraints(multiple=multiple, at_least=at_least, cap=cap)
    stops = list(found.stops(["m"], size, stays=1))
    assert stops == sorted(set(stops))
    assert stops[0] == 0
    for gone in stops[1:]:
        left = size - gone
        assert left >= max(1, at_least or 0)
        assert multiple is None or left % multiple == 0
        assert cap is None or gone <= cap * size + 1e-6


@pytest.mark.parametrize(
    ("table", "layers", "part"),
    [
        ({"exclude": ["a*"], "ratios": {"*a": 0.3}}, ["a"], "'a' stands in exclude, and ratios take 0.3."),
        (
            {"exclude": ["a"], "ratios": {"b": 0.3}},
            ["a", "b"],
            "what 'a' and 'b' make together stands in exclude, and ratios take 0.3.",
        ),
        ({"ratios": {"a": 0.3, "b": 0.5}}, ["a", "b"], "what 'a' and 'b' make together has two ratios, 0.3 and 0.5."),
        ({"ratios": {"a": 0.3, "a*": 0.5}}, ["a"], "'a' has two ratios, 0.3 and 0.5."),
        ({"ratios": {"a": 0.9}, "at_least": 4}, ["a"], "ratios take 18 of the 20 channels of 'a', which leaves fewer"),
    ],
)
def test_what_contradicts_itself_in_one_layer_is_one_sentence(
    table: dict[str, Any], layers: list[str], part: str
) -> None:
    with pytest.raises(Contradiction, match=re.escape(part)):
        Constraints.of(table).stops(layers, 20, stays=1)


def test_patterns_that_match_nothing_are_found_and_names_nearby_are_said() -> None:
    layers = ["main.0", "main.3", "to_rgb"]
    found = Constraints.of({"exclude": ["main.*", "main.1"], "ratios": {"rgb": 0.5}})
    assert found.unmatched(layers) == [("exclude", "main.1"), ("ratios", "rgb")]
    assert nearby("main.1", layers) == "Did you mean 'main.0' or 'main.3'?"
    assert nearby("xyz", layers) == "Its layers: main.0, main.3, to_rgb."


def test_words_are_as_one_writes_them() -> None:
    assert Constraints.of(FULL).words == (
        'exclude = ["main.0", "to_rgb*"], cap = 0.9, ratios = {"main.3" = 0.25, "up.*" = 0.5}, '
        "multiple = 8, at_least = 4"
    )
