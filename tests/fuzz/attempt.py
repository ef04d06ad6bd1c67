"""One attempt: what is tried either works or is refused in a few words and in good time."""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bench.base.errors import UserError
from tests.fuzz.tally import Tally

SECONDS = 5.0
"""CPU seconds of one attempt; ended after four times as many on the clock."""
LONGEST = 10_000
"""Characters of a message."""


class TooLong(BaseException):
    """An attempt that does not end."""


def tried(tally: Tally, name: str, attempt: Callable[[], object]) -> None:
    """Count what comes of ``attempt``; ``name`` says how to make it again."""
    begun = time.process_time()
    try:
        with _alarm(4 * SECONDS):
            attempt()
        outcome = "accepted"
    except UserError as error:
        outcome = "refused"
        if len(str(error)) > LONGEST:
            tally.wrong.append(f"{name}: a message of {len(str(error)):,} characters: {str(error)[:300]}")
            return
    except TooLong:
        tally.wrong.append(f"{name}: did not end within {4 * SECONDS:g} s")
        return
    except Exception:  # noqa: BLE001  (that is what is looked for)
        tally.wrong.append(f"{name}: {''.join(traceback.format_exc().splitlines(keepends=True)[-8:])}")
        return
    seconds = time.process_time() - begun
    if seconds > SECONDS:
        tally.wrong.append(f"{name}: took {seconds:.1f} CPU seconds")
        return
    tally.outcomes[outcome] += 1


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def little_memory(size: int) -> Iterator[None]:
    """At most ``size`` bytes of addresses more than now: a file that asks for terabytes must not get gigabytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
