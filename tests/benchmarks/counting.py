"""CPU time spent inside functions: what of a sweep are the networks, and what is the harness.

Workers import this module while they are measured, so it asks for nothing that they do not have anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.tasks.generation import evaluation, quality
from bench.training.recovery import finish

NETWORKS = [
    *((evaluation, name) for name in ("generate", "judge", "says_real")),  # G, the feature network, D
    (quality, "judge"),  # the feature network on the real images, once a worker
    (finish, "recalibrate"),
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
