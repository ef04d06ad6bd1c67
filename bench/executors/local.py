"""Worker processes on this machine, one thread each, that end when their parent does.

On Linux they are forked from a server process that has imported the libraries and done nothing else, so a worker is
there at once; importing takes four CPU seconds. Elsewhere, and where processes are compared with each other (the
gate's timings: forks share where their libraries lie), each is a new interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.base.containment import no_fork_of
from bench.base.errors import UserError
from bench.base.limits import resident_bytes
from bench.base.raised import in_words
from bench.executors.base import Done, Failed, Group, Resources, Setup, Stage
from bench.executors.dealing import Dealer

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`: what may lie free at the end of the heap, by how much more than needed it grows, and
from which size on a block is mapped by itself. Bytes."""
LARGEST = 2**30

PRELOADED = ["bench.sweep.preload"]
"""What the server imports."""

LOOK_EVERY = 0.25
"""Seconds between two looks at what workers take."""

TO_BEGIN = 120.0
"""Seconds that a worker may take, besides those of an item, until it can do anything."""

READY = "ready"
"""What a worker says when it can."""


class LocalExecutor:
    """Processes on ``jobs`` cores; each takes the next group when it has finished one.

    Args:
        fresh: each process is a new interpreter.
    """

    def __init__(self, jobs: int, *, fresh: bool = False) -> None:
        if jobs < 1:
            raise UserError(f"--jobs: {jobs} processes cannot do anything; at least 1.")
        self.jobs = jobs
        self.method = "spawn" if fresh or sys.platform != "linux" else "forkserver"

    def run(self, stages: Iterable[Stage]) -> Iterator[Done | Failed]:
        """Outcomes as they come. A worker that dies costs the item it was at; the rest of its group goes on.

        Raises:
            UserError: a worker met one (a damaged checkpoint, say): the same would happen to every item.
            ValueError: groups that wait for each other.
        """
        workers: list[_Worker] = []
        try:
            for stage in stages:
                if not all(worker.fits(stage) for worker in workers):
                    _end(workers)
                while len(workers) < min(self._places(stage.resources), len(stage.groups)):
                    workers.append(_Worker(stage.setup, stage.resources, self.method))
                yield from _carry_out(stage, workers)
        finally:
            _end(workers)

    def _places(self, resources: Resources) -> int:
        """How many workers of a stage there may be at once."""
        return 1 if resources.exclusive else max(1, self.jobs // resources.threads)


def _carry_out(stage: Stage, workers: list[_Worker]) -> Iterator[Done | Failed]:
    dealer = Dealer(stage.groups)
    while True:
        _hand_out(dealer, workers)
        busy = {worker.pipe: worker for worker in workers if worker.group}
        if not busy:
            break
        outcomes: list[Done | Failed] = []
        mistake: UserError | None = None
        for pipe in wait(list(busy), timeout=LOOK_EVERY):
            worker = busy[pipe]  # type: ignore[index]
            try:
                outcomes += worker.receive()
            except UserError as error:
                mistake = error
            except (EOFError, OSError):
                outcomes.append(worker.bury(dealer))
                workers[workers.index(worker)] = worker.successor()
        for worker in busy.values():
            if worker in workers and worker.is_over():
                outcomes.append(worker.bury(dealer))
                workers[workers.index(worker)] = worker.successor()
        if mistake is None:
            _hand_out(dealer, workers)  # before whoever listens takes their time
        yield from outcomes
        if mistake is not None:
            raise mistake
    if dealer:
        raise ValueError("the groups that are left wait for each other")


def _hand_out(dealer: Dealer, workers: list[_Worker]) -> None:
    """Give whoever has nothing to do something, as far as there is anything."""
    free = [worker for worker in workers if not worker.todo]
    for worker in free:
        if worker.group is not None:
            dealer.end(worker.group)
            worker.group = None
    for worker in free:
        if group := dealer.take(worker.kin):
            worker.give(group)


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.dismiss()
    for worker in workers:
        worker.end()
    workers.clear()


class _Worker:
    def __init__(self, setup: Setup, resources: Resources, method: str) -> None:
        self.setup, self.resources, self.method = setup, resources, method
        if method == "forkserver":
            start_server()
        context = multiprocessing.get_context(method)
        self.pipe, theirs = context.Pipe()
        self.group: Group | None = None
        """What it is at."""
        self.todo: tuple[Any, ...] = ()
        """Items of that without an outcome."""
        self.since = time.monotonic() + TO_BEGIN
        """When it began the first of them."""
        self.over = ""
        """Why it was ended, where it was: what it took more than it may."""
        self.kin = ""
        self.idle = False
        environment = _environment_of(resources)
        arguments = (theirs, setup, resources, environment)
        self.process: BaseProcess = context.Process(target=_main, args=arguments, daemon=True)  # type: ignore[attr-defined]
        with _environment(environment | _our_packages()), _without_main():
            self.process.start()
        theirs.close()

    def successor(self) -> _Worker:
        """Another for the same work."""
        return _Worker(self.setup, self.resources, self.method)

    def fits(self, stage: Stage) -> bool:
        """Whether it is what ``stage`` needs."""
        return self.setup is stage.setup and self.resources == stage.resources

    def give(self, group: Group) -> None:
        self.group, self.todo, self.kin = group, group.items, group.kin
        self.since = max(self.since, time.monotonic())
        with contextlib.suppress(OSError):  # it has died: `receive` will say so
            self.pipe.send(group.items)

    def receive(self) -> list[Done | Failed]:
        """What came of an item, or nothing: it can begin now."""
        message = self.pipe.recv()
        self.since = time.monotonic()
        if isinstance(message, UserError):
            raise message
        if message == READY:
            return []
        self.todo = self.todo[1:]
        return [message]

    def is_over(self) -> bool:
        """Whether its item takes more than it may; then it is ended."""
        if not self.todo or self.process.pid is None:
            return False
        taken = max(0.0, time.monotonic() - self.since)
        self.over = self.resources.limits.over(taken, resident_bytes(self.process.pid))
        if self.over:
            self.process.kill()
        return bool(self.over)

    def bury(self, dealer: Dealer) -> Failed:
        """What comes of the item that it died at; the rest of its group is given back."""
        assert self.group is not None
        item, rest = self.todo[0], self.todo[1:]
        if rest:
            dealer.give_back(replace(self.group, items=rest))
        else:
            dealer.end(self.group)
        outcome = Failed(item, self.epitaph(), "")
        self.end()
        return outcome

    def epitaph(self) -> str:
        self.process.join(timeout=5)
        if self.over:
            return f"{self.over} and was ended"
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"the worker process was ended by {name}{hint}"
        return f"the worker process ended with exit code {code}"

    def dismiss(self) -> None:
        """Let an idle worker end by itself, so that it can release what the system would keep (semaphores)."""
        self.pipe.close()
        self.idle = not self.todo

    def end(self) -> None:
        self.pipe.close()
        if self.idle:
            self.process.join(timeout=5)
        self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def start_server() -> None:
    """Start what workers are forked from, where there is such a thing and it does not run yet, and go on at once.

    It imports for some seconds: whoever will need workers calls this first and prepares their work meanwhile. It ends
    with this process.
    """
    if sys.platform == "linux":
        multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)  # heard by the server at its start
        with _environment(_environment_of(Resources()) | _our_packages()), _without_main():
            forkserver.ensure_running()


def _environment_of(resources: Resources) -> dict[str, str]:
    """That of this process, and what libraries read where they are imported."""
    return dict(os.environ) | dict.fromkeys(THREAD_VARIABLES, str(resources.threads))


def _our_packages() -> dict[str, str]:
    """Variables under which a new interpreter imports what this one does, and nothing from the working folder.

    The server imports before anybody tells it where from, and Python looks in the working folder first.
    """
    return {"PYTHONPATH": os.pathsep.join(str(path or Path.cwd()) for path in sys.path), "PYTHONSAFEPATH": "1"}


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    """``wanted`` for whoever is started within."""
    before = dict(os.environ)
    _take(wanted)
    try:
        yield
    finally:
        _take(before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """A process started within does not run the user's script again, which may well begin a sweep of its own.

    Nothing that a worker is given is defined there.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _main(pipe: Connection, setup: Setup, resources: Resources, environment: dict[str, str]) -> None:
    _take(environment)  # the parent's of now: the server has that of the first worker's time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _end_with_parent()
    import torch

    torch.set_num_threads(resources.threads)
    if not resources.exclusive:  # what is timed gets its memory as in anybody's process
        keep_freed_memory()
    try:
        work = _begin(setup)
        pipe.send(READY)
        while True:
            for item in pipe.recv():
                pipe.send(_outcome(work, item))
    except UserError as error:
        pipe.send(UserError(str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next tensor instead of giving it back to the system.

    It gives back every large block at once, and the system fills each new page with zeros: 230,000 pages for a cell of
    `mnist-dcgan`, a sixth of its CPU time, and workers wait for each other there.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library knows no such thing
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, 2**24)):
            mallopt(parameter, value)


def _take(environment: dict[str, str]) -> None:
    """Make ``environment`` that of this process."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _begin(setup: Setup) -> Any:
    try:
        return setup()
    except UserError:
        raise
    except BaseException as error:  # it would be the same in every worker: end the run and say why
        raise UserError(f"a worker could not begin: {in_words(error)}") from error


def _outcome(work: Any, item: Any) -> Done | Failed:
    process = os.getpid()
    try:
        try:
            return Done(item, work(item))
        finally:
            no_fork_of(process)
    except UserError:
        raise
    except BaseException as error:  # code of the user's that leaves by SystemExit(0) has done nothing
        return Failed(item, in_words(error), traceback.format_exc())


def _end_with_parent() -> None:
    """A thread that waits for the parent's end, also by kill -9, and ends this process at once."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
