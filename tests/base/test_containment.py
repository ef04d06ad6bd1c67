"""Code that ends the process, never comes back or takes all memory is one sentence."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from bench.base.containment import TELL, Entered, contained
from bench.base.errors import UserError
from bench.base.limits import Limits

SOON = Limits(seconds=0.3)
LITTLE = Limits(memory=2**20)


class Goodbye(BaseException):
    """None of Python's own."""


@pytest.mark.parametrize("end", [SystemExit(0), SystemExit(), SystemExit("bye"), GeneratorExit(), Goodbye("x", 1)])
def test_an_end_of_the_process_is_a_message_with_the_place_and_the_line(end: BaseException) -> None:
    def forward() -> None:
        raise end

    words = rf"^workload 'w': the code ended the process by {type(end).__name__}.*, in forward, line"
    with pytest.raises(UserError, match=words), contained("workload 'w'"):
        forward()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), ValueError("x"), UserError("y")])
def test_what_has_a_meaning_keeps_it(end: BaseException) -> None:
    with pytest.raises(type(end)) as found, contained("workload 'w'", SOON):
        raise end
    assert found.value is end


def test_a_loop_is_ended_where_it_is() -> None:
    def forward() -> None:
        while True:
            pass

    start = time.monotonic()
    words = r"^here: took longer than 0\.3 s .* and was ended, in forward, line \d+ of"
    with pytest.raises(UserError, match=words), contained("here", SOON):
        forward()
    assert time.monotonic() - start < 30


def test_waiting_is_ended_too() -> None:
    with pytest.raises(UserError, match="took longer"), contained("here", SOON):
        time.sleep(60)


def test_code_that_catches_every_exception_does_not_catch_this_one() -> None:
    def stubborn() -> None:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(60)

    with pytest.raises(UserError, match="took longer"), contained("here", SOON):
        stubborn()


def test_hunger_is_ended() -> None:
    with pytest.raises(UserError, match=r"needed more than 0\.000977 GiB of memory"), contained("here", LITTLE):
        time.sleep(60)


def test_the_outer_limit_speaks_for_the_outer_place() -> None:
    with (
        pytest.raises(UserError, match=r"^outer: took longer"),
        contained("outer", SOON),
        contained("inner", Limits(seconds=30)),
    ):
        time.sleep(60)


def test_the_inner_limit_speaks_for_the_inner_place() -> None:
    with (
        pytest.raises(UserError, match=r"^inner: took longer"),
        contained("outer", Limits(seconds=30)),
        contained("inner", SOON),
    ):
        time.sleep(60)


def test_nothing_is_left_behind() -> None:
    handler, threads = signal.getsignal(signal.SIGUSR1), threading.active_count()
    with contained("here", Limits(seconds=30)):
        assert signal.getsignal(signal.SIGUSR1) != handler
    assert (signal.getsignal(signal.SIGUSR1), threading.active_count()) == (handler, threads)


def test_another_thread_has_no_limit_and_no_error() -> None:
    found: list[str] = []

    def work() -> None:
        with contained("here", SOON):
            time.sleep(0.6)
        found.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["done"]


@pytest.fixture
def told() -> Iterator[list[Entered | None]]:
    heard: list[Entered | None] = []
    token = TELL.set(heard.append)
    yield heard
    TELL.reset(token)


def test_who_watches_hears_what_is_entered_and_left(told: list[Entered | None]) -> None:
    with pytest.raises(UserError), contained("outer", SOON), contained("inner"):
        sys.exit(0)
    assert [one.place if one else None for one in told] == ["outer", "inner", None, None]
    assert told[0] == Entered("outer", SOON)


def test_a_fork_does_not_come_back_twice() -> None:
    came: list[int] = []
    with contained("here"):
        os.fork()
    came.append(os.getpid())
    assert came == [os.getpid()]  # the other one would go on with the tests
