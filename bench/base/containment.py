"""Somebody else's code, contained: whatever it does is one sentence with the place.

An exception is an exception, and who called says what it means. What else code can do to the process that runs it:
end it (`sys.exit`, `os._exit`, a crash), or never come back, or take all memory. Within `contained`, an end by
exception and a limit become a `UserError`. What no `except` can catch is for the process above to see: it is told
where this one is (`tell`), and speaks in its stead (`bench.cli.supervisor`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from bench.base.errors import UserError
from bench.base.limits import NO_LIMIT, Limits, resident_bytes
from bench.base.raised import in_words

EVERY = 0.1
"""Seconds between two looks at the clock and at the memory."""

AGAIN = 5.0
"""Seconds after which code that has caught `OverLimit` and goes on is told again."""

UNLIMITED = Limits(NO_LIMIT, 2**62)


class OverLimit(BaseException):
    """Raised in the main thread in the middle of what is over its limit. No `Exception`: foreign code catches those."""


@dataclass(frozen=True)
class Entered:
    """What is being done now, and how much of everything it may take."""

    place: str
    limits: Limits


Tell = Callable[[Entered | None], None]
"""Hears what is entered; None: the innermost is left again."""

TELL: ContextVar[Tell | None] = ContextVar("TELL", default=None)
"""Who watches this process from outside, where somebody does."""


@contextlib.contextmanager
def contained(place: str, limits: Limits = UNLIMITED) -> Iterator[None]:
    """Code of the user's runs within.

    Args:
        place: what is being done, as the beginning of a message: ``workload 'faces', factory 'gan.py:G'``.
        limits: looked at ten times a second by a thread; held in the main thread of a POSIX system only.

    Raises:
        UserError: the code tried to end the process, or is over the limit.
    """
    tell = TELL.get()
    if tell is not None:
        tell(Entered(place, limits))
    watch, process = _Watch(limits), os.getpid()
    try:
        try:
            with watch:
                yield
        finally:
            no_fork_of(process)
    except OverLimit:
        if not watch.reason:  # it is that of somebody further out
            raise
        raise UserError(f"{place}: {watch.reason} and was ended{_raised_at(sys.exc_info()[1])}.") from None
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UserError(f"{place}: the code ended the process by {in_words(error)}{_raised_at(error)}.") from error
    finally:
        if tell is not None:
            tell(None)


def no_fork_of(process: int) -> None:
    """End this process where it is not ``process``: foreign code has forked it, and two would do the same from here."""
    if os.getpid() != process:
        os._exit(1)


def _raised_at(error: BaseException | None) -> str:
    """``, in forward, line 7 of gan.py``: the innermost line that raised."""
    frames = traceback.extract_tb(error.__traceback__ if error is not None else None)
    lines = [frame for frame in frames if frame.filename != __file__]  # the handler of the signal is here
    if not lines:
        return ""
    last = lines[-1]
    return f", in {last.name}, line {last.lineno} of {Path(last.filename).name}"


@dataclass
class _Watch:
    """Raises `OverLimit` in the main thread once the limit is passed."""

    limits: Limits
    reason: str = ""
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _before: object = None

    def __enter__(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        if self.limits is UNLIMITED or not main or not hasattr(signal, "SIGUSR1"):
            return
        self._before = signal.signal(signal.SIGUSR1, _over)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        start = time.monotonic()
        pause = EVERY
        while not self._done.wait(pause):
            reason = self.limits.over(time.monotonic() - start, resident_bytes(os.getpid()))
            if reason and not self._done.is_set():
                self.reason, pause = reason, AGAIN
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is None:
            return
        try:
            self._thread.join()  # a last signal may arrive here
        finally:
            signal.signal(signal.SIGUSR1, self._before)  # type: ignore[arg-type]


def _over(*_: object) -> None:
    raise OverLimit
