"""Work for real worker processes; they import it by name, so it cannot stand in a test's own file."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from bench.base.errors import UserError
from bench.executors import Work


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
        if what == "leave":
            Finalize(None, Path(argument).touch, exitpriority=0)  # as a semaphore is released
        if what == "hang":
            assert self.folder is not None
            (self.folder / str(os.getpid())).touch()
            time.sleep(600)
        return os.getpid()


class BrokenSetup:
    """Raises in every worker, before any work."""

    def __call__(self) -> Work:
        raise RuntimeError("no such library")
