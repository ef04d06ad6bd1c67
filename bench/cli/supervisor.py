"""A command in a process of its own, and this one above it: no code of the user's ends a command unheard.

`os._exit(0)` in a forward pass, a crash in C, a loop that holds the interpreter: nothing within the process can say so.
So the command runs in a fork, made before anything heavy is imported; it says through a pipe what it enters
(`bench.base.containment`) and how it ended. This process passes signals on, ends what is over its limit by more than
a grace, and speaks where the command ended without having said so.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import math
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from bench.base.containment import TELL, Entered
from bench.base.limits import Limits, resident_bytes
from bench.cli.errors import INTERRUPTED, MISTAKE, complain

GRACE = 5.0
"""Seconds over its limit after which a process is ended that has not ended itself."""
GROWN = 1.25
"""Times its memory limit at which that happens at once."""
EVERY = 0.1
TOGETHER = 1.0
"""Seconds within which two interrupts are one that a terminal sent to both processes."""
LAST_WORDS = 20.0
"""Seconds that a command may take to leave after it has said how it ended."""

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name))
"""Signals that ask a process to end, where the system has them."""
PASSED_ON = {signal.SIGINT, *ENDING}

FAULT = 1
"""The exit code of a fault of ours, which shows its traceback."""

Command = Callable[[], int]


def supervised(command: Command) -> int:
    """The exit code of ``command``, which runs in a child process; 2 where it ended without its own consent."""
    if not hasattr(os, "fork"):
        return command()
    ours, theirs = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    above = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until each of the two knows what to do with them
    child = os.fork()
    if child == 0:
        os.close(ours)
        _run(command, theirs, above)
    os.close(theirs)
    return _Watch(child, ours).until_it_ends()


def _run(command: Command, pipe: int, above: int) -> NoReturn:
    """In the child: the command, and its end. Threads of other people's code do not hold it up."""
    _end_with(above)
    atexit._clear()  # what was registered above is to be done there

    def say(**message: Any) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: the end is near
            os.write(pipe, (json.dumps(message) + "\n").encode())

    def tell(entered: Entered | None) -> None:
        say(**({"left": True} if entered is None else {"entered": asdict(entered)}))

    def interrupted(*_: object) -> None:
        say(interrupted=True)
        raise KeyboardInterrupt

    _unless_ignored(signal.SIGINT, interrupted)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    TELL.set(tell)
    try:
        code = command()
    except BaseException:  # noqa: BLE001 - nothing may climb into what was running before the fork
        traceback.print_exc()
        code = FAULT
    say(code=code)
    for leave in (sys.stdout.flush, sys.stderr.flush, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):
        with contextlib.suppress(Exception):
            leave()
    os._exit(code)


def _unless_ignored(number: int, handler: Callable[[int, Any], None]) -> None:
    """Who starts a command in the background, or by nohup, hands signals down ignored: they stay so."""
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, handler)


def _end_with(above: int) -> None:
    """This process ends when the one above it does, also by kill -9."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != above:  # it was faster
        os._exit(1)


@dataclass
class _Watch:
    child: int
    pipe: int
    code: int | None = None
    """What it said that it ended with."""
    ended: float = math.inf
    """When."""
    interrupted: float = math.inf
    """When this process was, and the child has not said so: a terminal tells both, `kill` one."""
    heard: float = -math.inf
    """When the child last said that it was."""
    places: list[tuple[Entered, float]] = field(default_factory=list)
    """Where it is, from the outside in, and since when."""
    rest: bytes = b""

    def until_it_ends(self) -> int:
        for number in ENDING:
            _unless_ignored(number, lambda number, _: self._send(number))
        _unless_ignored(signal.SIGINT, self._interrupted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        while (status := self._status()) is None:
            self._listen()
            if time.monotonic() - self.interrupted > EVERY:
                self._send(signal.SIGINT)
                self.interrupted = math.inf
            if reason := self._over():
                os.kill(self.child, signal.SIGKILL)
                os.waitpid(self.child, 0)
                complain(reason)
                return MISTAKE if self.code is None else self.code
        self._listen(until_empty=True)
        return self.code if self.code is not None else self._unsaid(status)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, number)

    def _interrupted(self, *_: object) -> None:
        if time.monotonic() - self.heard > TOGETHER:
            self.interrupted = time.monotonic()

    def _status(self) -> int | None:
        pid, status = os.waitpid(self.child, os.WNOHANG)
        return status if pid else None

    def _listen(self, until_empty: bool = False) -> None:
        while select.select([self.pipe] if self.pipe >= 0 else [], [], [], 0 if until_empty else EVERY)[0]:
            data = os.read(self.pipe, 65536)
            if not data:
                os.close(self.pipe)
                self.pipe = -1
                break
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self._hear(json.loads(line))
            if not until_empty:
                break

    def _hear(self, message: dict[str, Any]) -> None:
        if "entered" in message:
            said = message["entered"]
            self.places.append((Entered(said["place"], Limits(**said["limits"])), time.monotonic()))
        elif "left" in message:
            self.places = self.places[:-1]
        elif "interrupted" in message:
            self.interrupted, self.heard = math.inf, time.monotonic()
        else:
            self.code, self.ended = message["code"], time.monotonic()

    def _over(self) -> str:
        """Why the child is to be ended; '': it is not."""
        now = time.monotonic()
        if now - self.ended > LAST_WORDS:
            return "the command is done, but a thread of code that it ran kept its process from ending."
        resident = resident_bytes(self.child) if self.places else None
        for entered, since in self.places:
            late = entered.limits.over(now - since - GRACE, None)
            hungry = entered.limits.over(0, resident and int(resident / GROWN))
            if late or hungry:
                return f"{entered.place}: {late or hungry} and was ended."
        return ""

    def _unsaid(self, status: int) -> int:
        """The exit code of a child that has not said how it ended, and a message where nobody asked it to end."""
        place = f"{self.places[-1][0].place}: " if self.places else ""
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number in ENDING:  # as if there were no two of us
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            if number == signal.SIGINT:
                return INTERRUPTED
            hint = " (out of memory?)" if number == signal.SIGKILL else ""
            complain(f"{place}the process was ended by {signal.Signals(number).name}{hint}.")
            return MISTAKE
        code = os.WEXITSTATUS(status)
        complain(f"{place}code that it ran ended the process, with exit code {code}.")
        return MISTAKE
