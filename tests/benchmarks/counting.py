"""CPU time spent inside functions: what of a sweep are the networks, and what is the harness.

Workers import this module while they are measured, so it asks for nothing that they do not have anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bench.tasks.generation.evaluation
import bench.tasks.generation.quality
import bench.training.recovery.finish

NETWORKS = [
    *(
        (bench.tasks.generation.evaluation, name) for name in ("generate", "judge", "says_real")
    ),  # G, the feature network, D
    (bench.tasks.generation.quality, "judge"),  # the feature network on the real images, once a worker
    (bench.training.recovery.finish, "recalibrate"),
]
"""Where a cell without training runs networks over images."""


@contextmanager
def counted(places: list[tuple[Any, str]], inside: list[float]) -> Iterator[None]:
    """Adds up the CPU seconds spent in these functions."""
    before = [(module, name, getattr(module, name)) for module, name in places]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                inside.append(time.process_time() - start)

        return call

    for module, name, function in before:
        setattr(module, name, timed(function))
    try:
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)
