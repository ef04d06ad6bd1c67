"""What a cell may take."""

from __future__ import annotations

import mmap
import os

import pytest

from bench.base.limits import BY_DEFAULT, GIB, Limits, machine_bytes, parse_bytes, parse_seconds, resident_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 * 2**30), ("4G", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("500MB", 5 * 10**8), ("500 mb", 5 * 10**8),
        ("134217728", 2**27), ("0.25TiB", 2**38),
    ],
)  # fmt: skip
def test_an_amount_of_memory_is_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-4GiB", "4 apples", "nan", "1e9", "4iB", "10", "63MiB", "4GiB4", "٤GiB"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no amount of memory|less than 64 MiB"):
        parse_bytes(text)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_what_is_no_time_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_seconds(value)


def test_a_limit_is_passed_above_it_and_not_at_it() -> None:
    limits = Limits(seconds=2.0, memory=GIB)
    assert limits.over(2.0, GIB) == ""
    assert limits.over(2.1, GIB) == "took longer than 2 s (--cell-seconds)"
    assert limits.over(2.0, GIB + 1) == "needed more than 1 GiB of memory (--cell-memory)"
    assert limits.over(0.0, None) == ""


def test_the_default_is_hours_and_most_of_the_machine() -> None:
    whole = machine_bytes()
    assert BY_DEFAULT.seconds >= 6 * 3600
    assert whole is not None and 0.7 * whole < BY_DEFAULT.bytes < whole


def test_the_resident_memory_of_a_process_grows_with_what_it_holds() -> None:
    before = resident_bytes(os.getpid())
    held = mmap.mmap(-1, 2**26)  # pages of its own, not what the process has freed and kept
    held.write(bytes(1) * len(held))
    after = resident_bytes(os.getpid())
    assert before and after and after - before > 0.8 * len(held)


def test_a_process_that_is_not_there_has_none() -> None:
    assert resident_bytes(2**22 + 5) is None
