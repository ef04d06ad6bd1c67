"""What is costly to make and the same for every process: kept in the user's cache folder, named by content."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bench.base.files import clear_unfinished, write_atomically

ENVIRONMENT = "GANPRUNE_CACHE"


def cache_folder() -> Path:
    """``$GANPRUNE_CACHE``, by default ``~/.cache/ganprune``. Whatever is in it can be deleted."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else Path.home() / ".cache" / "ganprune"


def cached(name: str, make: Callable[[], bytes]) -> Path:
    """The file ``name`` of the cache; made where it is not there. The name has to say all that the content depends on.

    Two processes may make it at once; whoever is last replaces it by the same.
    """
    path = cache_folder() / name
    if not path.exists():
        clear_unfinished(path.parent)
        write_atomically(path, make())
    return path
