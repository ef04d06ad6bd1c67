"""Worker processes on this machine, one thread each, that end when their parent does.

On Linux they are forked from a server process that has imported the libraries and done nothing else, so a worker is
there at once; importing takes four CPU seconds. Elsewhere, and where processes are compared with each other (the
gate's timings: forks share where their libraries lie), each is a new interpreter.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.base.errors import UserError
from bench.executors import Done, Failed, Setup

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

PRELOADED = ["bench.sweep.preload"]
"""What the server imports."""


class LocalExecutor:
    """``jobs`` processes; each takes the next group when it has finished one.

    Args:
        fresh: each process is a new interpreter.
    """

    def __init__(self, jobs: int, *, fresh: bool = False) -> None:
        if jobs < 1:
            raise UserError(f"--jobs: {jobs} processes cannot do anything; at least 1.")
        self.jobs = jobs
        self.method = "spawn" if fresh or sys.platform != "linux" else "forkserver"

    def run(self, setup: Setup, stages: Sequence[Sequence[Iterable[Any]]]) -> Iterator[Done | Failed]:
        """Outcomes as they come. A worker that dies costs the item it was at; the rest of its group goes on.

        Raises:
            UserError: a worker met one (a damaged checkpoint, say): the same would happen to every item.
        """
        workers: list[_Worker] = []
        try:
            for stage in stages:
                waiting = [list(group) for group in stage if group][::-1]
                while len(workers) < min(self.jobs, len(waiting)):
                    workers.append(_Worker(setup, self.method))
                yield from _stage(workers, waiting)
        finally:
            for worker in workers:
                worker.dismiss()
            for worker in workers:
                worker.end()


def _stage(workers: list[_Worker], waiting: list[list[Any]]) -> Iterator[Done | Failed]:
    while waiting or any(worker.todo for worker in workers):
        for worker in workers:
            if not worker.todo and waiting:
                worker.give(waiting.pop())
        busy = {worker.pipe: worker for worker in workers if worker.todo}
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            try:
                outcome = worker.receive()
            except (EOFError, OSError):
                item, rest = worker.todo[0], worker.todo[1:]
                if rest:
                    waiting.append(rest)
                workers[workers.index(worker)] = worker.successor()
                outcome = Failed(item, worker.epitaph(), "")
                worker.end()
            yield outcome


class _Worker:
    def __init__(self, setup: Setup, method: str) -> None:
        self.setup, self.method = setup, method
        context = multiprocessing.get_context(method)
        context.set_forkserver_preload(PRELOADED)  # heard by the server when it starts, with the first worker
        self.pipe, theirs = context.Pipe()
        self.todo: list[Any] = []
        self.idle = False
        environment = dict(os.environ) | dict.fromkeys(THREAD_VARIABLES, "1")  # read where libraries are imported
        arguments = (theirs, setup, environment)
        self.process: BaseProcess = context.Process(target=_main, args=arguments, daemon=True)  # type: ignore[attr-defined]
        with _environment(environment | _our_packages()), _without_main():
            self.process.start()
        theirs.close()

    def successor(self) -> _Worker:
        """Another for the same work."""
        return _Worker(self.setup, self.method)

    def give(self, group: list[Any]) -> None:
        self.todo = group
        with contextlib.suppress(OSError):  # it has died: `receive` will say so
            self.pipe.send(group)

    def receive(self) -> Done | Failed:
        message = self.pipe.recv()
        if isinstance(message, UserError):
            raise message
        self.todo = self.todo[1:]
        outcome: Done | Failed = message
        return outcome

    def epitaph(self) -> str:
        self.process.join(timeout=5)
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


def _main(pipe: Connection, setup: Setup, environment: dict[str, str]) -> None:
    _take(environment)  # the parent's of now: the server has that of the first worker's time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _end_with_parent()
    import torch

    torch.set_num_threads(1)
    try:
        work = _begin(setup)
        while True:
            for item in pipe.recv():
                pipe.send(_outcome(work, item))
    except UserError as error:
        pipe.send(UserError(str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)


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
    except Exception as error:  # it would be the same in every worker: end the run and say why
        raise UserError(f"a worker could not begin: {type(error).__name__}: {error}") from error


def _outcome(work: Any, item: Any) -> Done | Failed:
    try:
        return Done(item, work(item))
    except UserError:
        raise
    except Exception as error:
        return Failed(item, f"{type(error).__name__}: {error}", traceback.format_exc())


def _end_with_parent() -> None:
    """A thread that waits for the parent's end, also by kill -9, and ends this process at once."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
