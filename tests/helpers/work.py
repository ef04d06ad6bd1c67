"""Work for real worker processes; they import it by name, so it cannot stand in a test's own file."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import time
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from bench.base.errors import UserError
from bench.executors import Work
from tests.helpers.processes import alive


@dataclass(frozen=True)
class Setup:
    """Items are ``(what, argument)``; the result says who did it and when."""

    folder: Path | None = None

    def __call__(self) -> Work:
        return self.do

    def do(self, item: tuple[str, Any]) -> Any:
        what, argument = item
        if what == "square":
            return argument**2
        if what == "raise":
            raise ValueError(f"no {argument}")
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "exit":
            os._exit(argument)
        if what == "fork":
            os.fork()
            return argument
        if what == "quit":
            raise SystemExit(argument)
        if what == "hungry":
            held = b"1" * argument
            time.sleep(600)
            return len(held)
        if what == "mistake":
            raise UserError(f"{argument}: damaged.")
        if what == "threads":
            import torch

            return torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
        if what == "environment":
            return os.environ.get(argument)
        if what == "parent":
            return os.getppid()
        if what == "span":
            start = time.monotonic()
            time.sleep(argument)
            return start, time.monotonic()
        if what == "pages":
            import torch

            pages = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]
            for _ in range(20):
                torch.ones(argument)
                pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
            return [after - before for before, after in itertools.pairwise(pages)]
        if what == "alive":
            return {pid for pid in argument if pid != os.getpid() and alive(pid)}
        if what == "leave":
            Finalize(None, Path(argument).touch, exitpriority=0)  # as a semaphore is released
        if what == "hang":
            assert self.folder is not None
            (self.folder / str(os.getpid())).touch()
            time.sleep(600)
        return os.getpid()


class QuittingSetup:
    """Ends every worker, as if all were well, before any work."""

    def __call__(self) -> Work:
        raise SystemExit(0)


class BrokenSetup:
    """Raises in every worker, before any work."""

    def __call__(self) -> Work:
        raise RuntimeError("no such library")
