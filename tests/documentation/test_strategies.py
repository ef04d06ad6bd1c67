"""The catalogue: what is in it, and that its page is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.documentation.strategies import page, seconds_on, without_seconds
from strategies.builtin import STRATEGIES

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


def test_the_page_is_that_of_the_registry() -> None:
    written = without_seconds(PAGE.read_text("utf-8"))
    assert written == without_seconds(page({})), "write it anew: make docs"


def test_writing_the_page_anew_keeps_its_seconds() -> None:
    written = PAGE.read_text("utf-8")
    assert page(seconds_on(written)) == written


def test_every_strategy_that_fits_was_timed() -> None:
    timed = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert len(timed) == len(STRATEGIES)
    unfit = [line.split("`")[1] for line in timed if line.endswith("| - |")]
    assert unfit == ["removal-block", "random-block", "l1-connection-global", "unlike-share", "unlike-share-d"]


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_name_says_what_the_strategy_is_made_of(name: str) -> None:
    strategy = STRATEGIES[name]
    assert name == strategy.name
    body, _, schedule = name.partition("+")
    criterion, granularity, *rest = body.split("-")
    assert criterion == strategy.criterion.name
    assert granularity == strategy.granularity.name
    assert schedule == (strategy.schedule.name if strategy.schedule else "")
    if granularity in {"weight", "channel"} and rest:
        assert rest == [strategy.allocation.name]


def test_there_are_at_least_forty_and_the_controls_are_among_them() -> None:
    assert len(STRATEGIES) >= 40
    assert {"random-weight-global", "l1-weight-global", "l1-weight-uniform", "shuffled-weight-global"} <= set(
        STRATEGIES
    )
